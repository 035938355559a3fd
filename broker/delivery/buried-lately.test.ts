import assert from "node:assert/strict";
import { BuriedLately } from "./buried-lately.ts";
import { Lane } from "./lane.ts";
import { ReadAhead } from "./read-ahead.ts";

function laneOf(queueId: number): Lane {
  const place = { group: "g", topic: "t", queueId };
  return new Lane(place, { changed: () => {} }, new ReadAhead());
}

describe("messages that became dead letters lately", () => {
  it("are known by lane, offset and deliveries up to the last", () => {
    const lately = new BuriedLately(10);
    const [one, other] = [laneOf(0), laneOf(1)];
    lately.note(one, 7, 4_099);
    assert.deepEqual(
      [lately.has(one, 7, 4_099), lately.has(one, 7, 4_098), lately.has(one, 7, 4_100)],
      [true, true, false],
    );
    assert.deepEqual([lately.has(one, 8, 1), lately.has(other, 7, 1)], [false, false]);
  });

  it("are forgotten one by one, the oldest first, unless they became dead letters again", () => {
    const lately = new BuriedLately(3);
    const lane = laneOf(0);
    for (const offset of [0, 1, 2]) lately.note(lane, offset, 1);
    lately.note(lane, 0, 2);
    lately.note(lane, 3, 1);
    assert.deepEqual(
      [0, 1, 2, 3].map((offset) => lately.has(lane, offset, 1)),
      [true, false, true, true],
    );
  });
});
