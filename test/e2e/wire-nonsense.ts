// Bytes that look like protobuf and mean nothing: for tests of how a server takes them.
import * as fc from "fast-check";

const names = fc.constantFrom(
  "",
  " ",
  "t",
  "g",
  "t",
  "g",
  "TBW102",
  "rmq_sys_x",
  "%DLQ%g",
  "%RETRY%g",
  "a\u0000b",
  "日本語",
  "😀",
  "__proto__",
  "constructor",
  "../../etc",
  "*",
  "a || b",
  "a|b",
  "x".repeat(127),
  "x".repeat(128),
  "y".repeat(5000),
);

const integers = fc.oneof(
  fc.constantFrom(0n, 1n, 2n, 3n, 10n, 30n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 53n, 2n ** 63n, -1n),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);

/** Random messages: field numbers of the protocol, any type, nested a few levels. */
export const wireNonsense: fc.Arbitrary<Uint8Array> = fc.letrec<{
  message: Uint8Array;
  field: Uint8Array;
}>((tie) => ({
  message: fc.array(tie("field"), { maxLength: 7, depthIdentifier: "wire" }).map(joined),
  field: fc
    .tuple(
      fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: 1, max: 8 }) },
        fc.integer({ min: 1, max: 30 }),
      ),
      fc.oneof(
        { depthIdentifier: "wire", maxDepth: 4, depthSize: "small" },
        { weight: 2, arbitrary: integers },
        { weight: 2, arbitrary: names.map((name) => Buffer.from(name)) },
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }) },
        { weight: 4, arbitrary: tie("message") },
      ),
    )
    .map(([number, value]) => fieldOf(number, value)),
})).message;

/** `bytes` with a few of them changed, left out or put in, or cut off. */
export function damaged(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  const place = fc.nat({ max: Math.max(0, bytes.length - 1) });
  const change = fc.record({
    at: place,
    drop: fc.nat({ max: 3 }),
    put: fc.uint8Array({ maxLength: 3 }),
  });
  return fc
    .tuple(fc.array(change, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([changes, cut]) => {
      let result = Buffer.from(bytes);
      for (const { at, drop, put } of changes) {
        result = Buffer.concat([result.subarray(0, at), put, result.subarray(at + drop)]);
      }
      return cut ? result.subarray(0, changes[0]?.at ?? 0) : result;
    });
}

function fieldOf(number: number, value: bigint | Uint8Array): Uint8Array {
  if (typeof value === "bigint") return joined([varint(BigInt(number * 8)), varint(value)]);
  return joined([varint(BigInt(number * 8 + 2)), varint(BigInt(value.length)), value]);
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}
