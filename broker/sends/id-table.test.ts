import assert from "node:assert/strict";
import * as fc from "fast-check";
import { IdTable } from "./id-table.ts";

interface Known {
  readonly low: number;
  readonly high: number;
  readonly position: number;
  readonly storeTimeMs: number;
}

function positionsOf(table: IdTable, low: number, high: number): number[] {
  const positions: number[] = [];
  for (let slot = table.find(low, high); slot >= 0; slot = table.find(low, high, slot)) {
    positions.push(table.placeAt(slot).position);
  }
  return positions.toSorted((one, other) => one - other);
}

describe("id table", () => {
  it("knows what a plain list knows, whatever is added, expires and is taken back", () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ low: fc.nat(7), high: fc.nat(1), ms: fc.nat(3) }) },
      fc.record({ expire: fc.nat(20) }),
      fc.record({ cut: fc.nat(5) }),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        // Numbers change their sign, or go round, while the table is in use.
        fc.constantFrom(1, -6, 0x7fffffff - 6),
        fc.array(step, { maxLength: 80 }),
        (max, first, steps) => {
          const table = new IdTable(max, first);
          let list: Known[] = [];
          let [end, timeMs] = [0, 0];
          for (const one of steps) {
            if ("low" in one) {
              timeMs += one.ms;
              const known = { low: one.low, high: one.high, position: end, storeTimeMs: timeMs };
              table.add(one.low, one.high, { ...known, size: 8 });
              list = [...list, known].slice(-max);
              end += 8;
            } else if ("expire" in one) {
              table.expire(timeMs - one.expire);
              list = list.filter((known) => known.storeTimeMs >= timeMs - one.expire);
            } else {
              end = Math.max(0, end - one.cut * 8);
              table.takeBack(end);
              list = list.filter((known) => known.position < end);
            }
            assert.equal(table.count, list.length);
            for (let low = 0; low < 8; low += 1) {
              for (const high of [0, 1]) {
                const wanted = list.filter((known) => known.low === low && known.high === high);
                assert.deepEqual(
                  positionsOf(table, low, high),
                  wanted.map(({ position }) => position),
                );
              }
            }
          }
        },
      ),
    );
  });

  it("grows to its bound, and takes 40 bytes a message there, if that is a power of two", () => {
    const countMax = 2 ** 17;
    const table = new IdTable(countMax);
    for (let index = 0; index < 250_000; index += 1) {
      table.add(Math.imul(index, 0x9e3779b1), index, {
        position: index * 8,
        size: 8,
        storeTimeMs: 1,
      });
    }
    assert.equal(table.count, countMax);
    assert.equal(table.oldestPosition, (250_000 - countMax) * 8);
    assert.equal(table.sizeBytes, 40 * countMax);
    const low = Math.imul(200_000, 0x9e3779b1);
    assert.deepEqual(positionsOf(table, low, 200_000), [1_600_000]);
    assert.deepEqual(positionsOf(table, Math.imul(1, 0x9e3779b1), 1), []);
  });
});
