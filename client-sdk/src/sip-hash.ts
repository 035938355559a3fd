// SipHash-2-4 with the key 00 01 … 0f: how the Java, Go and Node.js clients map a message group to a queue.

const wordMask = (1n << 64n) - 1n;

function rotate(word: bigint, count: bigint): bigint {
  return ((word << count) | (word >> (64n - count))) & wordMask;
}

/** The 64-bit hash of the UTF-8 bytes of `text`, unsigned. */
export function sipHash24(text: string): bigint {
  const bytes = Buffer.from(text, "utf8");
  const k0 = 0x0706050403020100n;
  const k1 = 0x0f0e0d0c0b0a0908n;
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const round = (): void => {
    v0 = (v0 + v1) & wordMask;
    v1 = rotate(v1, 13n) ^ v0;
    v0 = rotate(v0, 32n);
    v2 = (v2 + v3) & wordMask;
    v3 = rotate(v3, 16n) ^ v2;
    v0 = (v0 + v3) & wordMask;
    v3 = rotate(v3, 21n) ^ v0;
    v2 = (v2 + v1) & wordMask;
    v1 = rotate(v1, 17n) ^ v2;
    v2 = rotate(v2, 32n);
  };
  const absorb = (word: bigint): void => {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  };
  const wholeEnd = bytes.length - (bytes.length % 8);
  for (let at = 0; at < wholeEnd; at += 8) absorb(bytes.readBigUInt64LE(at));
  let last = BigInt(bytes.length & 0xff) << 56n;
  for (let at = wholeEnd; at < bytes.length; at++) {
    last |= BigInt(bytes[at] ?? 0) << BigInt(8 * (at - wholeEnd));
  }
  absorb(last);
  v2 ^= 0xffn;
  for (let count = 0; count < 4; count++) round();
  return v0 ^ v1 ^ v2 ^ v3;
}
