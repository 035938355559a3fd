import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { EpochEntry, LogExtent } from "./control-messages.ts";
import { type CommonPoint, commonPoint, describeLog } from "./log-fork.ts";

/** A log that is really there: each byte says who wrote it, and when. */
interface RealLog {
  readonly start: number;
  /** Where it was begun, empty or behind a snapshot: from there on its table knows the epochs, also what has expired. */
  readonly begun: number;
  /** From position 0 on, those before `start` included. */
  readonly bytes: readonly RealByte[];
}

interface RealByte {
  readonly epoch: number;
  readonly serial: number;
}

type Pair = readonly [RealLog, RealLog];

type Step =
  /** Loses its newest bytes, as in a power cut, opens an epoch and writes. */
  | { readonly kind: "reign"; readonly who: 0 | 1; readonly lost: number; readonly count: number }
  /** Cuts itself to what it has in common with the other one, and copies some of what comes then. */
  | { readonly kind: "copy"; readonly who: 0 | 1; readonly count: number }
  /** Forgets its oldest bytes. */
  | { readonly kind: "trim"; readonly who: 0 | 1; readonly count: number };

const who = fc.constantFrom(0 as const, 1 as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("reign" as const),
    who,
    lost: fc.nat({ max: 3 }),
    count: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({ kind: fc.constant("copy" as const), who, count: fc.nat({ max: 9 }) }),
  fc.record({ kind: fc.constant("trim" as const), who, count: fc.nat({ max: 3 }) }),
);

function trimmed(log: RealLog, start: number): RealLog {
  return { ...log, start: Math.min(Math.max(start, log.start), log.bytes.length) };
}

function copied(slave: RealLog, master: RealLog, count: number): RealLog {
  const common = trueCommonPoint(slave, master);
  // Without a common point a slave begins anew with a snapshot.
  const from = common.kind === "common" ? common.position : master.start;
  const { start, begun } =
    common.kind === "common" ? slave : { start: master.start, begun: master.start };
  return { start, begun, bytes: master.bytes.slice(0, from + count) };
}

/** Walks two logs through the steps; epochs and serial numbers are never used twice. */
function walk(steps: readonly Step[]): Pair {
  let pair: Pair = [
    { start: 0, begun: 0, bytes: [] },
    { start: 0, begun: 0, bytes: [] },
  ];
  let serial = 0;
  for (const [index, step] of steps.entries()) {
    const [mine, other] = step.who === 0 ? pair : [pair[1], pair[0]];
    const next = stepped(mine, other, { step, epoch: index + 1, serial });
    serial += 10;
    pair = step.who === 0 ? [next, other] : [other, next];
  }
  return pair;
}

function stepped(
  mine: RealLog,
  other: RealLog,
  { step, epoch, serial }: { step: Step; epoch: number; serial: number },
): RealLog {
  switch (step.kind) {
    case "trim":
      return trimmed(mine, mine.start + step.count);
    case "copy":
      return copied(mine, other, step.count);
    case "reign":
      break;
  }
  const kept = mine.bytes.slice(0, Math.max(mine.start, mine.bytes.length - step.lost));
  const fresh = Array.from({ length: step.count }, (_, at) => ({ epoch, serial: serial + at }));
  return { ...mine, bytes: [...kept, ...fresh] };
}

function extentOf({ start, begun, bytes }: RealLog): LogExtent {
  const epochs: EpochEntry[] = [];
  for (const [position, { epoch }] of bytes.entries()) {
    if (position < begun || epochs.at(-1)?.epoch === epoch) continue;
    epochs.push({ epoch, start: position });
  }
  return { epochs, start, end: bytes.length };
}

function trueCommonPoint(one: RealLog, other: RealLog): CommonPoint {
  const isEmpty = [one, other].some(({ start, bytes }) => start === bytes.length);
  if (isEmpty) return { kind: "empty" };
  const start = Math.max(one.start, other.start);
  const end = Math.min(one.bytes.length, other.bytes.length);
  if (start >= end) return { kind: "apart" };
  let position = start;
  while (position < end && one.bytes[position]?.serial === other.bytes[position]?.serial) {
    position += 1;
  }
  return position === start ? { kind: "diverged" } : { kind: "common", position };
}

describe("the common point of two logs", () => {
  it("is where they really part, whatever has happened to them", () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 14 }), (steps) => {
        const [one, other] = walk(steps);
        const truth = trueCommonPoint(one, other);
        assert.deepEqual(commonPoint(extentOf(one), extentOf(other)), truth);
        assert.deepEqual(commonPoint(extentOf(other), extentOf(one)), truth);
        seen.set(truth.kind, (seen.get(truth.kind) ?? 0) + 1);
      }),
      { numRuns: 4_000 },
    );
    for (const kind of ["common", "empty", "apart", "diverged"]) {
      assert.ok((seen.get(kind) ?? 0) > 20, `${kind}: ${seen.get(kind)}`);
    }
  });

  it("is found when a log was begun behind a snapshot and has lost its beginning since then", () => {
    const whole = { start: 50, end: 90, epochs: [{ epoch: 1, start: 0 }] };
    const begunLater = { start: 50, end: 80, epochs: [{ epoch: 1, start: 20 }] };
    assert.deepEqual(commonPoint(whole, begunLater), { kind: "common", position: 80 });
    assert.deepEqual(commonPoint(begunLater, whole), { kind: "common", position: 80 });
  });

  it("is nowhere when nothing is the same", () => {
    const one = { start: 0, end: 90, epochs: [{ epoch: 1, start: 0 }] };
    const other = { start: 0, end: 90, epochs: [{ epoch: 2, start: 0 }] };
    assert.deepEqual(commonPoint(one, other), { kind: "diverged" });
    assert.deepEqual(commonPoint(one, { start: 0, end: 0, epochs: [] }), { kind: "empty" });
    assert.deepEqual(commonPoint(one, { ...other, start: 90, end: 99 }), { kind: "apart" });
  });

  it("is nowhere when retention took what was common and left what is not", () => {
    const heir = {
      start: 0,
      end: 200,
      epochs: [
        { epoch: 1, start: 0 },
        { epoch: 2, start: 100 },
      ],
    };
    const former = { start: 120, end: 150, epochs: [{ epoch: 1, start: 120 }] };
    assert.deepEqual(commonPoint(heir, former), { kind: "diverged" });
  });

  it("can be told to people, at a bounded length", () => {
    const epochs = Array.from({ length: 20 }, (_, index) => ({ epoch: index, start: index * 10 }));
    assert.match(
      describeLog({ start: 0, end: 200, epochs }),
      /^bytes 0 to 200, epochs … 12 from 120, .* 19 from 190$/,
    );
    assert.equal(describeLog({ start: 0, end: 0, epochs: [] }), "bytes 0 to 0, epochs none");
  });
});
