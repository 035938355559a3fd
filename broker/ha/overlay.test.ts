import assert from "node:assert/strict";
import * as fc from "fast-check";
import { silentLogger } from "../../base/index.ts";
import type { PendingEntry, ProgressChange, QueueProgress } from "../metadata/index.ts";
import { SimulatedDisk } from "../store/testkit/simulated-disk.ts";
import { OverlayFile } from "./overlay-file.ts";
import { joinedProgress, missingProgress, NotedProgress, notedUpTo } from "./progress-merge.ts";

const place = { group: "g", topic: "t", queueId: 0 };

function entry(offset: number, deliveryNumber = 1): PendingEntry {
  return { offset, attempt: 1, visibleAtMs: 1_000, deliveryNumber, flags: 0 };
}

function change(cursor: number, upserts: PendingEntry[], removals: number[] = []): ProgressChange {
  return { ...place, cursor, upserts, removals };
}

describe("the overlay of an acting master", () => {
  it("keeps what was noted over a power cut, and cuts a torn end", async () => {
    const disk = new SimulatedDisk();
    await disk.makeFolder("/data");
    const overlay = await OverlayFile.open(disk, "/data", silentLogger);
    assert.ok(overlay.isEmpty);
    await overlay.append([change(3, [entry(1), entry(2)])]);
    await overlay.append([change(4, [], [1])]);
    disk.cutPower("lost", { next: () => 0, bytes: (count) => Buffer.alloc(count) });
    const bytes = disk.bytesOf("/data/overlay");
    disk.put("/data/overlay", Buffer.concat([bytes, bytes.subarray(0, 20)]));
    const again = await OverlayFile.open(disk, "/data", silentLogger);
    const lane = again.noted.get(place);
    assert.equal(lane?.cursor, 4);
    assert.deepEqual(
      [...(lane?.entries.entries() ?? [])],
      [
        [1, undefined],
        [2, entry(2)],
      ],
    );
    await again.append([change(5, [])]);
    const third = await OverlayFile.open(disk, "/data", silentLogger);
    assert.equal(third.noted.get(place)?.cursor, 5);
    await third.clear();
    assert.ok((await OverlayFile.open(disk, "/data", silentLogger)).isEmpty);
  });

  it("keeps what was passed over behind a message that only one side knows to be done", () => {
    const held = (offset: number, from: number, flags = 0): PendingEntry => ({
      ...entry(offset),
      flags,
      order: { messageGroupHash: 77, from },
    });
    const anchor = (offset: number, from: number): PendingEntry => ({
      ...held(offset, from, 2),
      attempt: 0,
      visibleAtMs: 0,
    });
    const join = (known: QueueProgress, ...changes: ProgressChange[]) => {
      const noted = new NotedProgress();
      for (const one of changes) noted.add(one);
      const lane = noted.get(place);
      assert.ok(lane !== undefined);
      return missingProgress(known, lane);
    };
    // The master has passed over others up to 30, the acting one has seen none before 20.
    const passed: QueueProgress = { ...place, cursor: 30, pending: [held(5, 6)] };
    assert.deepEqual(join(passed, change(20, [], [5])), change(30, [anchor(5, 20)]));
    // The master knows that 5 is done; the acting one has passed over others behind it.
    const done: QueueProgress = { ...place, cursor: 10, pending: [] };
    assert.deepEqual(join(done, change(20, [held(5, 6)])), change(20, [anchor(5, 10)]));
    // Something of the message group is pending still: that tells enough.
    const later = change(20, [held(9, 10)], [5]);
    assert.deepEqual(join(passed, later), { ...later, cursor: 30 });
  });

  it("lets nothing come back that an older copy of the notes has as pending still", () => {
    const order = { messageGroupHash: 77, from: 45 };
    const pending = { ...entry(44, 9), order };
    const anchor = { ...pending, attempt: 0, visibleAtMs: 0, flags: 2 };
    const known: QueueProgress = { ...place, cursor: 0, pending: [anchor] };
    const older = new NotedProgress();
    older.add(change(0, [pending]));
    const lane = older.get(place);
    assert.ok(lane !== undefined);
    assert.equal(missingProgress(known, lane), undefined);
    // It knows of more that was handed out behind it.
    const further = { ...order, from: 50 };
    older.add(change(0, [{ ...pending, order: further }]));
    assert.deepEqual(missingProgress(known, lane), change(0, [{ ...anchor, order: further }]));
    // The log has it as pending, in a later delivery: it is done all the same.
    const again = { ...place, cursor: 0, pending: [{ ...entry(44, 12), order: further }] };
    const done = new NotedProgress();
    done.add(change(0, [anchor]));
    const doneLane = done.get(place);
    assert.ok(doneLane !== undefined);
    assert.deepEqual(missingProgress(again, doneLane), change(0, [{ ...anchor, order: further }]));
  });

  it("lets nothing that is done in either come back", () => {
    const known: QueueProgress = { ...place, cursor: 5, pending: [entry(2), entry(3)] };
    const noted = new NotedProgress();
    // The acting master's log was shorter: it did not know that 1 and 4 are done.
    noted.add(change(3, [entry(1, 9), entry(2, 9)]));
    noted.add(change(7, [entry(6, 9)], [2, 4]));
    const lane = noted.get(place);
    assert.ok(lane !== undefined);
    assert.deepEqual(missingProgress(known, lane), change(7, [entry(6, 9)], [2]));
    assert.deepEqual(joinedProgress(known, lane), {
      ...place,
      cursor: 7,
      pending: [entry(3), entry(6, 9)],
    });
  });

  it("counts up to the end of its master's queue only: behind it that will have other messages", () => {
    const noted = new NotedProgress();
    noted.add(change(9, [entry(3), entry(8)], [2, 7]));
    const lane = noted.get(place);
    assert.ok(lane !== undefined);
    const { cursor, entries } = notedUpTo(lane, 5);
    assert.equal(cursor, 5);
    assert.deepEqual(
      [...entries],
      [
        [3, entry(3)],
        [2, undefined],
      ],
    );
    assert.deepEqual(notedUpTo(lane, 9), lane);
  });

  it("is the same for any order of acknowledgements at both sides", () => {
    const offsets = fc.uniqueArray(fc.integer({ min: 0, max: 19 }));
    fc.assert(
      fc.property(
        fc.nat({ max: 20 }),
        fc.nat({ max: 20 }),
        offsets,
        offsets,
        (masterCursor, actingCursor, doneAtMaster, doneAtActing) => {
          const pending = [];
          for (let offset = 0; offset < masterCursor; offset += 1) {
            if (!doneAtMaster.includes(offset)) pending.push(entry(offset));
          }
          const noted = new NotedProgress();
          const upserts = [];
          for (let offset = 0; offset < actingCursor; offset += 1) upserts.push(entry(offset, 9));
          noted.add(change(actingCursor, upserts));
          const acked = doneAtActing.filter((offset) => offset < actingCursor);
          noted.add(change(actingCursor, [], acked));
          const lane = noted.get(place);
          assert.ok(lane !== undefined);
          const joined = joinedProgress({ ...place, cursor: masterCursor, pending }, lane);
          const left = new Set(joined.pending.map(({ offset }) => offset));
          for (let offset = 0; offset < joined.cursor; offset += 1) {
            const isDone =
              (offset < masterCursor && doneAtMaster.includes(offset)) || acked.includes(offset);
            assert.equal(left.has(offset), !isDone, `offset ${offset}`);
          }
          assert.equal(joined.cursor, Math.max(masterCursor, actingCursor));
        },
      ),
    );
  });
});
