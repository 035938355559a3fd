// The frames a server says about a connection as a whole: its settings at first, GOAWAY at the end.
import type { TransportLimits } from "../base/index.ts";
import { type ErrorCode, FrameType, Setting, windowSizeDefault } from "./http2.ts";
import type { Sender } from "./sender.ts";

const settingSize = 6;

/** Writes our SETTINGS and widens the connection's window. */
export function greet(sender: Sender, limits: TransportLimits): void {
  const settings = [
    [Setting.concurrentStreamsMax, limits.concurrentStreamsMax],
    [Setting.initialWindowSize, limits.streamWindowSize],
    [Setting.headerListSizeMax, limits.headerListSizeMax],
  ] as const;
  const payload = Buffer.alloc(settings.length * settingSize);
  for (const [index, [identifier, value]] of settings.entries()) {
    payload.writeUInt16BE(identifier, index * settingSize);
    payload.writeUInt32BE(value, index * settingSize + 2);
  }
  sender.frame({ type: FrameType.settings, flags: 0, streamId: 0 }, payload);
  const increment = limits.connectionWindowSize - windowSizeDefault;
  if (increment > 0) sender.wordFrame(FrameType.windowUpdate, 0, increment);
}

/** Writes GOAWAY; `text` is for people who debug. */
export function goaway(
  sender: Sender,
  reason: { readonly lastStreamId: number; readonly code: ErrorCode; readonly text?: string },
): void {
  const text = Buffer.from(reason.text ?? "");
  const payload = Buffer.alloc(8 + text.length);
  payload.writeUInt32BE(reason.lastStreamId, 0);
  payload.writeUInt32BE(reason.code, 4);
  payload.set(text, 8);
  sender.frame({ type: FrameType.goaway, flags: 0, streamId: 0 }, payload);
}
