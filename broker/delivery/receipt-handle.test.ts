import assert from "node:assert/strict";
import * as fc from "fast-check";
import { Lane } from "./lane.ts";
import { ReadAhead } from "./read-ahead.ts";
import { HandleCodec, handleBroker } from "./receipt-handle.ts";

const key = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex");

function lane(group: string, topic: string, queueId: number): Lane {
  return new Lane({ group, topic, queueId }, { changed: () => {} }, new ReadAhead());
}

describe("receipt handles", () => {
  it("are as the example of the format document", () => {
    const codec = new HandleCodec(key, "broker-a");
    const handle = codec.encode(lane("orders-service", "orders", 3), 1_000_000, 4_097);
    assert.equal(
      Buffer.from(handle, "base64url").toString("hex").match(/.{16}/g)?.join(" "),
      "0108000003000000 18a152beaf34f89f b92976f6feb0226d 40420f0000000000 0110000000000000 " +
        "9f069f053fe3af30 62726f6b65722d61",
    );
  });

  it("carry offset and delivery number of any size", () => {
    const codec = new HandleCodec(key, "broker-a");
    const place = lane("g", "t", 7);
    const long = fc.nat({ max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(long, long, (offset, deliveryNumber) => {
        assert.ok(codec.parse(codec.encode(place, offset, deliveryNumber)));
        assert.ok(codec.matches(place));
        assert.deepEqual(
          [codec.queueId, codec.offset, codec.deliveryNumber],
          [7, offset, deliveryNumber],
        );
      }),
    );
  });

  it("fit their own lane only", () => {
    const codec = new HandleCodec(key, "broker-a");
    const handle = codec.encode(lane("g", "t", 1), 5, 6);
    for (const other of [lane("g", "t", 0), lane("h", "t", 1), lane("g", "u", 1)]) {
      assert.ok(codec.parse(handle));
      assert.equal(codec.matches(other), false);
    }
  });

  it("of another key or broker do not fit", () => {
    const handle = new HandleCodec(key, "broker-a").encode(lane("g", "t", 1), 5, 6);
    const otherKey = new HandleCodec(Buffer.alloc(32, 7), "broker-a");
    assert.ok(otherKey.parse(handle));
    assert.equal(otherKey.matches(lane("g", "t", 1)), false);
    assert.equal(new HandleCodec(key, "broker-b").parse(handle), false);
    assert.equal(new HandleCodec(key, "broker-aa").parse(handle), false);
  });

  it("name their broker to any other", () => {
    const handle = new HandleCodec(key, "brökér").encode(lane("g", "t", 1), 5, 6);
    assert.equal(handleBroker(handle), "brökér");
    assert.equal(handleBroker(handle.slice(4)), undefined);
    assert.equal(handleBroker(`${handle}AAAA`), undefined);
    assert.equal(handleBroker(""), undefined);
    assert.equal(handleBroker("A".repeat(10_000)), undefined);
  });

  it("refuse any text without harm", () => {
    const codec = new HandleCodec(key, "broker-a");
    const place = lane("g", "t", 1);
    const length = codec.encode(place, 1, 1).length;
    const text = fc.oneof(
      fc.string(),
      fc.stringMatching(/^[\w-]+$/, { size: "large" }).map((all) => all.slice(0, length)),
    );
    fc.assert(
      fc.property(text, (handle) =>
        assert.equal(codec.parse(handle) && codec.matches(place), false),
      ),
    );
  });

  it("need a broker name", () => {
    assert.throws(() => new HandleCodec(key, ""), RangeError);
    assert.throws(() => new HandleCodec(key, "x".repeat(256)), RangeError);
  });
});
