// The worked examples of docs/format/state.md, and values that are damaged.
import { strict as assert } from "node:assert";
import * as fc from "fast-check";
import { epoch, position } from "../../base/index.ts";
import { encodeMetadataChange } from "./metadata-codec.ts";
import { decodeSnapshotHead, SnapshotPart, snapshotEntries } from "./snapshot-codec.ts";
import { cursorKey, endedKey, heldKey, parseKey, pendingKey, queueKey } from "./state-keys.ts";
import {
  type Applied,
  decodeApplied,
  decodeBounds,
  decodeCursor,
  decodeEnd,
  decodeHeld,
  decodePending,
  encodeApplied,
  encodeBounds,
  encodeCursor,
  encodeEnd,
  encodeHeld,
  encodePending,
  seal,
  unseal,
} from "./state-values.ts";

const applied: Applied = { position: position(4_096), epoch: epoch(2), metadataVersion: 512 };
const entry = {
  offset: 998,
  attempt: 1,
  visibleAtMs: 1_700_000_000_000,
  deliveryNumber: 7,
  flags: 0,
};
const bounds = { topic: "orders", queueId: 3, minOffset: 500, nextOffset: 1_000, firstOffset: 0 };
const cursor = cursorKey("billing", "orders", 3);
const pending = pendingKey(cursor, 998);
const queue = queueKey("orders", 3);
const heldMessage = { kind: "timer" as const, dueMs: 1_700_000_000_000, id: 4_096 };
const held = { ...heldMessage, topic: "orders", position: 4_096, size: 104, count: 0 };

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("the values of the state", () => {
  it("are laid out as their document's examples say", () => {
    const sealed = (key: string, content: Uint8Array): string => hexOf(seal(key, content));
    assert.equal(sealed("applied", encodeApplied(applied)), "b9e6b5ed028020028004");
    assert.equal(
      sealed(cursor, encodeCursor({ cursor: 1_000, pendingEnd: 1_000 })),
      "0d92b1fbe807e807",
    );
    assert.equal(sealed(pending, encodePending(entry)), "4dea61050180d095ffbc310700");
    assert.equal(sealed(queue, encodeBounds(bounds)), "a69aca11f403e80700");
    assert.equal(pending, "progress/billing/orders/3/0000000000000998");
    assert.equal(sealed(heldKey(held), encodeHeld(held)), "57bdd41080206800066f7264657273");
    assert.equal(heldKey(held), "held/timer/0001700000000000/0000000000004096");
    assert.equal(sealed(endedKey("orders"), encodeEnd(4_096)), "85a40ae18020");
  });

  it("give back what was written", () => {
    assert.deepEqual(decodeApplied(encodeApplied(applied)), applied);
    assert.deepEqual(decodePending(998, encodePending(entry)), entry);
    assert.deepEqual(decodeHeld(heldMessage, encodeHeld(held)), held);
    assert.equal(decodeEnd(encodeEnd(4_096)), 4_096);
    assert.deepEqual(decodeBounds("orders", 3, encodeBounds(bounds)), bounds);
    assert.deepEqual(decodeCursor(encodeCursor({ cursor: 5, pendingEnd: 9 })), {
      cursor: 5,
      pendingEnd: 9,
    });
  });

  it("are refused when a bit of key or value has changed", () => {
    fc.assert(
      fc.property(fc.string(), fc.uint8Array(), fc.nat(), (key, content, bit) => {
        const value = seal(key, content);
        assert.deepEqual(Uint8Array.from(unseal(key, value)), content);
        const at = Math.floor(bit / 8) % value.length;
        value[at] = (value[at] ?? 0) ^ (1 << (bit % 8));
        assert.throws(() => unseal(key, value), { code: "CORRUPT" });
        assert.throws(() => unseal(`${key}x`, seal(key, content)), { code: "CORRUPT" });
      }),
    );
  });
});

describe("the keys of the state", () => {
  it("are taken apart again", () => {
    const { offset } = entry;
    assert.deepEqual(parseKey(pending), { kind: "pending", cursor, offset });
    assert.deepEqual(parseKey(cursor), {
      kind: "cursor",
      group: "billing",
      topic: "orders",
      queueId: 3,
    });
    assert.deepEqual(parseKey(queue), { kind: "queue", topic: "orders", queueId: 3 });
    assert.deepEqual(parseKey(heldKey(held)), { kind: "held", held: heldMessage });
    assert.deepEqual(parseKey(endedKey("orders")), { kind: "ended", topic: "orders" });
    const odds = ["", "topic", "topic/a/b", "queue/t/x", "progress/g/t/1/2/3", "other/a"];
    for (const odd of [...odds, "held/timer/1", "held/timer/1/x", "held/other/1/2", "ended/t/1"]) {
      assert.equal(parseKey(odd), undefined, odd);
    }
  });
});

describe("the records of the state", () => {
  it("are laid out as their document's examples say", () => {
    const queues = [{ queueId: 3, nextOffset: 1_000 }];
    const deletion = encodeMetadataChange({ kind: "deleteTopic", name: "orders", queues });
    const json = '{"name":"orders","queues":[3,1000]}';
    assert.equal(hexOf(deletion), `0102${hexOf(Buffer.from(json))}`);
    const part = new SnapshotPart();
    part.add(cursor, seal(cursor, encodeCursor({ cursor: 1_000, pendingEnd: 1_000 })));
    part.add(pending, seal(pending, encodePending(entry)));
    const body = part.encode({ id: 7, part: 0, isLast: true, asOf: applied });
    const text = (key: string): string => hexOf(Buffer.from(key));
    assert.equal(
      hexOf(body),
      `02070001802002800402` +
        `19${text(cursor)}080d92b1fbe807e807` +
        `2a${text(pending)}0d4dea61050180d095ffbc310700`,
    );
    assert.deepEqual(decodeSnapshotHead(body), { id: 7, part: 0, isLast: true, asOf: applied });
    assert.deepEqual(
      [...snapshotEntries(body)].map(([key]) => key),
      [cursor, pending],
    );
    const older = Buffer.concat([Buffer.of(1), body.subarray(1)]);
    assert.equal([...snapshotEntries(older)].length, 2);
    const later = Buffer.concat([Buffer.of(3), body.subarray(1)]);
    assert.throws(() => decodeSnapshotHead(later), { code: "CORRUPT", message: /version 3/ });
    for (let end = 0; end < body.length; end++) {
      assert.throws(() => [...snapshotEntries(body.subarray(0, end))], { code: "CORRUPT" });
    }
  });
});
