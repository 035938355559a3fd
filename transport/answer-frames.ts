// The frames of answers, built once and copied out with the stream's number patched in.
import { encodeHeaders } from "./hpack-encoder.ts";
import { frameHeaderSize } from "./http2.ts";
import { messagePrefixSize } from "./request-reader.ts";
import { headersFrame, type Sender } from "./sender.ts";
import { encodeGrpcMessage, type GrpcStatus } from "./status.ts";

/** Headers of a call that will have messages. */
export const okHeaders: Buffer = headersFrame(
  encodeHeaders([
    [":status", "200"],
    ["content-type", "application/grpc"],
  ]),
  { endStream: false },
);

/** Trailers of a call that went well. */
export const okTrailers: Buffer = headersFrame(encodeHeaders([["grpc-status", "0"]]), {
  endStream: true,
});

const dataHeaderSize = frameHeaderSize + messagePrefixSize;
const unaryHead = Buffer.concat([okHeaders, Buffer.alloc(dataHeaderSize)]);

/** Writes the whole answer of a unary call: headers, one message in one frame, trailers. The caller has checked the windows. */
export function writeUnary(sender: Sender, streamId: number, message: Uint8Array): void {
  const size = message.length;
  const at = sender.output.reserve(unaryHead.length + size + okTrailers.length);
  const { bytes, view } = sender.output;
  bytes.set(unaryHead, at);
  view.setUint32(at + 5, streamId);
  const data = at + okHeaders.length;
  view.setUint32(data, (size + messagePrefixSize) << 8);
  view.setUint32(data + 5, streamId);
  view.setUint32(data + frameHeaderSize + 1, size);
  bytes.set(message, data + dataHeaderSize);
  const trailers = data + dataHeaderSize + size;
  bytes.set(okTrailers, trailers);
  view.setUint32(trailers + 5, streamId);
  sender.window -= size + messagePrefixSize;
  sender.frameCount += 3;
  sender.schedule();
}

/** A whole answer of a call that failed before it sent anything. `extra` goes before the status. */
export function trailersOnly(
  status: GrpcStatus,
  message: string,
  extra: readonly (readonly [string, string])[] = [],
): Buffer {
  const block = encodeHeaders([
    [":status", "200"],
    ["content-type", "application/grpc"],
    ...extra,
    ["grpc-status", String(status)],
    ...(message === "" ? [] : [["grpc-message", encodeGrpcMessage(message)] as const]),
  ]);
  return headersFrame(block, { endStream: true });
}

/** Trailers of a call that sent headers and then failed. */
export function failureTrailers(status: GrpcStatus, message: string): Buffer {
  const block = encodeHeaders([
    ["grpc-status", String(status)],
    ["grpc-message", encodeGrpcMessage(message)],
  ]);
  return headersFrame(block, { endStream: true });
}

/** Headers of an answer to a request that is not gRPC. */
export function httpHeaders(httpStatus: number, text: string): Buffer {
  const block = encodeHeaders([
    [":status", String(httpStatus)],
    ["content-type", "text/plain; charset=utf-8"],
    ["content-length", String(Buffer.byteLength(text))],
  ]);
  return headersFrame(block, { endStream: false });
}

/** The gRPC prefix of a message of `size` bytes. */
export function messagePrefix(size: number): Uint8Array {
  const prefix = new Uint8Array(messagePrefixSize);
  new DataView(prefix.buffer).setUint32(1, size);
  return prefix;
}
