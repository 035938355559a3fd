import assert from "node:assert/strict";
import * as fc from "fast-check";
import { heldKinds } from "../metadata/index.ts";
import { HeldHandles, heldHandleBroker } from "./held-handle.ts";

const key = Buffer.from("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "hex");
const handles = new HeldHandles(key, "broker-a");
const named = { kind: "timer" as const, dueMs: 1_700_000_000_000, id: 4_096 };
const expected = { topic: "orders", kind: "timer" as const };
const example = "AgAAAABo5c-LAQAAABAAAAAAAADp2qkG0MTjUWJyb2tlci1h";

describe("the handle of a held message", () => {
  it("is what its document's example says", () => {
    assert.equal(handles.encode("orders", named), example);
    assert.deepEqual(handles.decode(example, expected), named);
    assert.equal(heldHandleBroker(example), "broker-a");
  });

  it("names what it was made for, to the brokers of its name only", () => {
    const place = fc.maxSafeNat();
    const name = fc.string({ minLength: 1, maxLength: 60 });
    const kind = fc.constantFrom(...heldKinds);
    fc.assert(
      fc.property(kind, place, place, name, name, (given, dueMs, id, topic, broker) => {
        const own = new HeldHandles(key, broker);
        const handle = own.encode(topic, { kind: given, dueMs, id });
        assert.deepEqual(own.decode(handle, { topic, kind: given }), { kind: given, dueMs, id });
        assert.equal(heldHandleBroker(handle), broker);
        assert.equal(own.decode(handle, { topic: `${topic}x`, kind: given }), undefined);
        const other = given === "timer" ? "half" : "timer";
        assert.equal(own.decode(handle, { topic, kind: other }), undefined);
        const renamed = new HeldHandles(key, `${broker}x`);
        assert.equal(renamed.decode(handle, { topic, kind: given }), undefined);
        const foreign = new HeldHandles(Buffer.alloc(32, 7), broker);
        assert.equal(foreign.decode(handle, { topic, kind: given }), undefined);
      }),
    );
  });

  it("is refused with any bit changed, cut, or with something behind it", () => {
    const bytes = Buffer.from(example, "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = Buffer.from(bytes);
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(handles.decode(altered.toString("base64url"), expected), undefined);
    }
    for (let end = 0; end < example.length; end++) {
      assert.equal(handles.decode(example.slice(0, end), expected), undefined);
    }
    for (const odd of [`${example}A`, `${example}=`, ` ${example}`, `${example}\0`, "", "x", "é"]) {
      assert.equal(handles.decode(odd, expected), undefined, odd);
    }
    assert.equal(handles.decode("A".repeat(100_000), expected), undefined);
  });

  it("needs a broker name of 1 to 255 bytes", () => {
    assert.throws(() => new HeldHandles(key, ""), RangeError);
    assert.throws(() => new HeldHandles(key, "x".repeat(256)), RangeError);
    const longest = new HeldHandles(key, "x".repeat(255));
    assert.deepEqual(
      longest.decode(longest.encode("t", named), { ...expected, topic: "t" }),
      named,
    );
  });
});
