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
        fc.array(step, { maxLength: 80 }),
        (max, steps) => {
          const table = new IdTable(max);
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

  it("grows to its bound, and takes up to 50 bytes a message there", () => {
    const table = new IdTable(100_000);
    for (let index = 0; index < 250_000; index += 1) {
      table.add(Math.imul(index, 0x9e3779b1), index, {
        position: index * 8,
        size: 8,
        storeTimeMs: 1,
      });
    }
    assert.equal(table.count, 100_000);
    assert.equal(table.oldestPosition, 150_000 * 8);
    assert.ok(table.sizeBytes <= 50 * 100_000, `${table.sizeBytes}`);
    const low = Math.imul(200_000, 0x9e3779b1);
    assert.deepEqual(positionsOf(table, low, 200_000), [1_600_000]);
    assert.deepEqual(positionsOf(table, Math.imul(1, 0x9e3779b1), 1), []);
  });
});
