// Random messages for the property tests, and unusual but correct ways to write them down.
import * as fc from "fast-check";
import { rocketmq } from "../index.ts";

const { v2 } = rocketmq;

/** Text of any kind, mostly ASCII as in practice. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: fc.string({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "",
      "TopicTest",
      "日本語のタグ",
      "😀",
      "\ufeffmark",
      "a".repeat(300),
    ),
  },
);

const anyInt32 = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer());

/** A Timestamp or Duration. */
export const anyTime: fc.Arbitrary<rocketmq.v2.ISystemProperties["bornTimestamp"]> = fc.record({
  seconds: fc.oneof(fc.integer({ min: 0, max: 2_000_000_000 }), fc.maxSafeInteger()),
  nanos: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999_999 })),
});

/** Like `anyTime`, and never negative. */
export const anyTimeMs: fc.Arbitrary<number> = fc.integer({ min: 0, max: 4_000_000_000_000 });

/** System properties with any of their fields. */
export const anySystemProperties: fc.Arbitrary<rocketmq.v2.ISystemProperties> = fc.record(
  {
    tag: anyText,
    keys: fc.array(anyText, { maxLength: 3 }),
    messageId: anyText,
    bodyDigest: fc.record({ type: anyInt32, checksum: anyText }, { requiredKeys: [] }),
    bodyEncoding: anyInt32,
    messageType: anyInt32,
    bornTimestamp: anyTime,
    bornHost: anyText,
    storeTimestamp: anyTime,
    storeHost: anyText,
    deliveryTimestamp: anyTime,
    receiptHandle: anyText,
    queueId: anyInt32,
    queueOffset: fc.maxSafeInteger(),
    invisibleDuration: anyTime,
    deliveryAttempt: anyInt32,
    messageGroup: anyText,
    traceContext: anyText,
    orphanedTransactionRecoveryDuration: anyTime,
    deadLetterQueue: fc.record({ topic: anyText, messageId: anyText }, { requiredKeys: [] }),
    liteTopic: anyText,
    priority: anyInt32,
  },
  { requiredKeys: [] },
);

/** A message with any of its fields. */
export const anyMessage: fc.Arbitrary<rocketmq.v2.IMessage> = fc.record(
  {
    topic: fc.record({ resourceNamespace: anyText, name: anyText }, { requiredKeys: [] }),
    userProperties: fc.dictionary(
      anyText.filter((key) => key !== "__proto__"),
      anyText,
      { maxKeys: 4 },
    ),
    systemProperties: anySystemProperties,
    body: fc.uint8Array({ maxLength: 64 }),
  },
  { requiredKeys: [] },
);

/** Fields of numbers that nobody uses, one of each wire type. */
const anyUnknown: fc.Arbitrary<Uint8Array> = fc
  .tuple(
    fc.constantFrom(0, 1, 2, 3, 5),
    fc.integer({ min: 100, max: 2 ** 29 - 1 }),
    fc.uint8Array({ maxLength: 20 }),
  )
  .map(([wireType, field, content]) => {
    const writer = Buffer.alloc(64);
    let at = putVarint(writer, 0, field * 8 + wireType);
    if (wireType === 0) at = putVarint(writer, at, content.length * 1000);
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else if (wireType === 3) {
      at = putVarint(writer, at, 8);
      at = putVarint(writer, at, 77);
      at = putVarint(writer, at, field * 8 + 4);
    } else {
      at = putVarint(writer, at, content.length);
      writer.set(content, at);
      at += content.length;
    }
    return writer.subarray(0, at);
  });

/** Which fields of a message are messages in their turn, by field number. */
interface Shape {
  readonly [field: number]: Shape;
}

const messageShape: Shape = {
  1: {},
  3: { 4: {}, 7: {}, 9: {}, 11: {}, 15: {}, 19: {}, 20: {} },
};

/**
 * Requests with messages, each written in an unusual way: in two halves that are merged, with
 * unknown fields in between on every level.
 */
export const oddSendRequest: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.tuple(
      anyMessage,
      fc.option(anyMessage, { nil: undefined }),
      fc.array(anyUnknown, { maxLength: 3 }),
      fc.infiniteStream(fc.boolean()),
    ),
    { maxLength: 3 },
  )
  .map((messages) =>
    Buffer.concat(
      messages.map(([first, second, unknowns, choices]) => {
        const halves = [first, ...(second === undefined ? [] : [second])];
        const bytes = Buffer.concat(halves.map((half) => v2.Message.encode(half).finish()));
        const odd = withUnknowns(bytes, messageShape, unknowns, choices);
        return Buffer.concat([Uint8Array.of(10), varint(odd.length), odd]);
      }),
    ),
  );

/** Requests as a client writes them. */
export const plainSendRequest: fc.Arbitrary<Uint8Array> = fc
  .array(anyMessage, { maxLength: 3 })
  .map((messages) => v2.SendMessageRequest.encode({ messages }).finish());

/** Bytes of which something is cut off, overwritten or put in. */
export function broken(bytes: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Uint8Array> {
  return fc
    .tuple(bytes, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.constantFrom("cut", "set", "put"))
    .map(([whole, place, byte, how]) => {
      if (whole.length === 0) return Uint8Array.of(byte);
      const at = place % whole.length;
      if (how === "cut") return whole.slice(0, at);
      const changed = Uint8Array.from(whole);
      changed[at] = byte;
      return how === "set"
        ? changed
        : Buffer.concat([whole.subarray(0, at), Uint8Array.of(byte), whole.subarray(at)]);
    });
}

function withUnknowns(
  bytes: Uint8Array,
  shape: Shape,
  unknowns: readonly Uint8Array[],
  choices: Iterator<boolean>,
): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const { start, end, field, content } of fieldsOf(bytes)) {
    for (const unknown of unknowns) if (choices.next().value === true) pieces.push(unknown);
    const inner = shape[field];
    if (inner === undefined || content === undefined) {
      pieces.push(bytes.subarray(start, end));
      continue;
    }
    const odd = withUnknowns(content, inner, unknowns, choices);
    pieces.push(varint(field * 8 + 2), varint(odd.length), odd);
  }
  return Buffer.concat(pieces);
}

interface FieldSpan {
  readonly start: number;
  readonly end: number;
  readonly field: number;
  readonly content: Uint8Array | undefined;
}

/** Fields of bytes that are known to be correct and to hold only varints and lengths. */
function fieldsOf(bytes: Uint8Array): FieldSpan[] {
  const fields: FieldSpan[] = [];
  let at = 0;
  const next = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 0x80) {
      const byte = bytes[at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.length) {
    const start = at;
    const tag = next();
    const value = next();
    const content = tag % 8 === 2 ? bytes.subarray(at, at + value) : undefined;
    at += content?.length ?? 0;
    fields.push({ start, end: at, field: Math.floor(tag / 8), content });
  }
  return fields;
}

function varint(value: number): Uint8Array {
  const bytes = Buffer.alloc(10);
  return bytes.subarray(0, putVarint(bytes, 0, value));
}

function putVarint(bytes: Uint8Array, offset: number, value: number): number {
  let at = offset;
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes[at++] = (rest % 0x80) + 0x80;
  bytes[at++] = rest;
  return at;
}
