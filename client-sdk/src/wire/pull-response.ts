// Reads PullMessageResponse frames: each holds a status, a message or the offset where to go on.
import { type ReceivedMessage, readMessage } from "./receive-response.ts";
import { readStatus, type StatusView } from "./send-response.ts";
import { WireReader } from "./wire-reader.ts";

/** What a frame holds. */
export type PullFrame =
  | { readonly kind: "status"; readonly status: StatusView }
  | { readonly kind: "message"; readonly message: ReceivedMessage }
  | { readonly kind: "nextOffset"; readonly offset: number }
  | { readonly kind: "nothing" };

/** Reads a frame. Throws RangeError when the bytes are broken. */
export function readPullFrame(bytes: Buffer): PullFrame {
  const reader = new WireReader(bytes);
  let frame: PullFrame = { kind: "nothing" };
  while (reader.more) {
    const key = reader.varint();
    if (key === 0x0a) frame = { kind: "status", status: readStatus(reader) };
    else if (key === 0x12) frame = { kind: "message", message: readMessage(reader) };
    else if (key === 0x18) frame = { kind: "nextOffset", offset: reader.varint() };
    else reader.skip(key);
  }
  return frame;
}
