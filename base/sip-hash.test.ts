import assert from "node:assert/strict";
import * as fc from "fast-check";
import { sipBlock, sipFinish, sipHash, sipStart } from "./sip-hash.ts";

const key = Uint8Array.from({ length: 16 }, (_, index) => index);

function text(hash: { low: number; high: number }): string {
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setInt32(0, hash.low, true);
  bytes.setInt32(4, hash.high, true);
  return Buffer.from(bytes.buffer).toString("hex");
}

function word(bytes: Uint8Array, at: number): bigint {
  return Buffer.from(bytes).readBigUInt64LE(at);
}

/** The definition with bigint, as written in the paper. */
function reference(keyBytes: Uint8Array, message: Uint8Array): string {
  const mask = (1n << 64n) - 1n;
  const rotate = (x: bigint, n: bigint): bigint => ((x << n) | (x >> (64n - n))) & mask;
  const k0 = word(keyBytes, 0);
  const k1 = word(keyBytes, 8);
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const round = (): void => {
    v0 = (v0 + v1) & mask;
    v1 = rotate(v1, 13n) ^ v0;
    v0 = rotate(v0, 32n);
    v2 = (v2 + v3) & mask;
    v3 = rotate(v3, 16n) ^ v2;
    v0 = (v0 + v3) & mask;
    v3 = rotate(v3, 21n) ^ v0;
    v2 = (v2 + v1) & mask;
    v1 = rotate(v1, 17n) ^ v2;
    v2 = rotate(v2, 32n);
  };
  const padded = Buffer.alloc((Math.floor(message.length / 8) + 1) * 8);
  padded.set(message);
  padded[padded.length - 1] = message.length & 0xff;
  for (let at = 0; at < padded.length; at += 8) {
    const m = word(padded, at);
    v3 ^= m;
    round();
    round();
    v0 ^= m;
  }
  v2 ^= 0xffn;
  for (let i = 0; i < 4; i++) round();
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(v0 ^ v1 ^ v2 ^ v3);
  return out.toString("hex");
}

describe("SipHash-2-4", () => {
  it("gives the published vectors", () => {
    // Key 00..0f; message 00, 00 01, … of the length on the left.
    const vectors: Record<number, string> = {
      0: "310e0edd47db6f72",
      1: "fd67dc93c539f874",
      2: "5a4fa9d909806c0d",
      3: "2d7efbd796666785",
      7: "37d1018bf50002ab",
      8: "6224939a79f5f593",
      15: "e545be4961ca29a1",
      63: "724506eb4c328a95",
    };
    for (const [size, expected] of Object.entries(vectors)) {
      const message = Uint8Array.from({ length: Number(size) }, (_, index) => index);
      assert.equal(text(sipHash(sipStart(key), message)), expected, `length ${size}`);
    }
  });

  it("is the same block by block, from a copied prefix", () => {
    const message = Uint8Array.from({ length: 40 }, (_, index) => index * 7);
    const view = new DataView(message.buffer);
    const prefix = sipStart(key);
    for (let at = 0; at < 24; at += 8) {
      sipBlock(prefix, view.getInt32(at, true), view.getInt32(at + 4, true));
    }
    const state = prefix.slice();
    for (let at = 24; at < 40; at += 8) {
      sipBlock(state, view.getInt32(at, true), view.getInt32(at + 4, true));
    }
    sipFinish(state, 40);
    const whole = sipHash(sipStart(key), message);
    assert.deepEqual({ low: state[0], high: state[1] }, whole);
  });

  it("agrees with the definition for any key and message", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.uint8Array({ maxLength: 300 }),
        (anyKey, message) => {
          assert.equal(text(sipHash(sipStart(anyKey), message)), reference(anyKey, message));
        },
      ),
    );
  });

  it("refuses a key of another size", () => {
    assert.throws(() => sipStart(new Uint8Array(15)), /16 bytes/);
  });
});
