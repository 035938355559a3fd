import assert from "node:assert/strict";
import * as fc from "fast-check";
import { type MessageSink, RequestReader, readWhole } from "./request-reader.ts";

class Sink implements MessageSink {
  readonly messages: { readonly bytes: number[]; readonly compressed: boolean }[] = [];
  readonly sizeMax: number;

  constructor(sizeMax = Infinity) {
    this.sizeMax = sizeMax;
  }

  accepts(_flags: number, size: number): boolean {
    return size <= this.sizeMax;
  }

  message(bytes: Uint8Array, compressed: boolean): boolean {
    this.messages.push({ bytes: [...bytes], compressed });
    return true;
  }
}

function framed(message: Uint8Array, compressed: boolean): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = compressed ? 1 : 0;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function push(reader: RequestReader, sink: MessageSink, payload: Uint8Array): void {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  reader.push(sink, view, { start: 0, end: payload.length });
}

describe("RequestReader", () => {
  it("finds the same messages however they are cut into payloads", () => {
    const message = fc.record({
      bytes: fc.uint8Array({ maxLength: 50 }),
      compressed: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 10 }),
        (messages, cuts) => {
          const all = Buffer.concat(
            messages.map(({ bytes, compressed }) => framed(bytes, compressed)),
          );
          const sink = new Sink();
          const reader = new RequestReader();
          for (let at = 0, turn = 0; at < all.length; turn += 1) {
            const size = cuts[turn % cuts.length] ?? 1;
            push(reader, sink, all.subarray(at, at + size));
            at += size;
          }
          assert.equal(reader.incomplete, false);
          assert.deepEqual(
            sink.messages,
            messages.map(({ bytes, compressed }) => ({ bytes: [...bytes], compressed })),
          );
        },
      ),
    );
  });

  it("puts a large message together", () => {
    const message = Buffer.alloc(1_000_000, 7);
    const all = framed(message, false);
    const sink = new Sink();
    const reader = new RequestReader();
    for (let at = 0; at < all.length; at += 16_384)
      push(reader, sink, all.subarray(at, at + 16_384));
    assert.deepEqual(Buffer.from(sink.messages[0]?.bytes ?? []), message);
  });

  it("is incomplete in the middle of a message", () => {
    const reader = new RequestReader();
    push(reader, new Sink(), framed(Buffer.alloc(10), false).subarray(0, 12));
    assert.equal(reader.incomplete, true);
  });

  it("stops at a message that is not accepted, before its bytes have come", () => {
    const sink = new Sink(4);
    push(new RequestReader(), sink, framed(Buffer.alloc(5), false).subarray(0, 6));
    const bytes = framed(Buffer.alloc(5), false);
    assert.equal(
      readWhole(sink, new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length),
      -1,
    );
    assert.deepEqual(sink.messages, []);
  });
});
