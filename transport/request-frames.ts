// The header block of a call that we make, and its frames.
import { encodeHeaders } from "./hpack-encoder.ts";
import { Flag, FrameType, frameSizeMax } from "./http2.ts";
import type { Sender } from "./sender.ts";

/** What the block says. */
export interface RequestHeaders {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** The block of a gRPC request. */
export function requestBlock(
  { path, headers, timeoutMs }: RequestHeaders,
  { authority, isTls }: { readonly authority: string; readonly isTls: boolean },
): Buffer {
  return encodeHeaders([
    [":method", "POST"],
    [":scheme", isTls ? "https" : "http"],
    [":path", path],
    [":authority", authority],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ["grpc-timeout", grpcTimeout(timeoutMs)],
    ...Object.entries(headers),
  ]);
}

/** A grpc-timeout: at most eight digits, so that long ones are counted in seconds. */
export function grpcTimeout(timeoutMs: number): string {
  const ms = Math.max(1, Math.ceil(timeoutMs));
  return ms < 1e8 ? `${ms}m` : `${Math.min(Math.ceil(ms / 1000), 99_999_999)}S`;
}

/** Writes a block as HEADERS, and as CONTINUATION where it is larger than a frame. */
export function writeBlock(sender: Sender, streamId: number, fields: Uint8Array): void {
  let block = fields;
  if (sender.announceEmptyTable) {
    sender.announceEmptyTable = false;
    block = Buffer.concat([emptyTable, fields]);
  }
  let type: number = FrameType.headers;
  let at = 0;
  do {
    const end = Math.min(at + frameSizeMax, block.length);
    const flags = end === block.length ? Flag.endHeaders : 0;
    sender.frame({ type, flags, streamId }, block.subarray(at, end));
    type = FrameType.continuation;
    at = end;
  } while (at < block.length);
}

/** A size update to 0: our encoder never uses the dynamic table. */
const emptyTable = Buffer.of(0x20);
