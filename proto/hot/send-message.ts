// SendMessage over bytes: the request is read into views, the answer is written in one piece.
import { type MessageView, readMessage } from "./message-view.ts";
import { type StatusView, statusFieldSizeMax, writeStatusField } from "./status.ts";
import { WireReader } from "./wire-reader.ts";
import { BackwardWriter, textFieldSizeMax } from "./wire-writer.ts";

/** What became of one message; one for each message of the request, in order. */
export interface SendResultView extends StatusView {
  readonly messageId: string;
  readonly transactionId: string;
  /** Index in the queue. */
  readonly offset: number;
  /** DELAY messages: the right to recall it. */
  readonly recallHandle?: string;
}

/**
 * Reads a SendMessageRequest without decoding bodies. The views are of `bytes`: copy what is to
 * outlive it. Throws ProtoError when the bytes are not such a request.
 */
export function readSendMessageRequest(bytes: Uint8Array): MessageView[] {
  const reader = new WireReader(bytes);
  const messages: MessageView[] = [];
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 10) messages.push(readMessage(reader));
    else reader.skip(tag);
  }
  return messages;
}

/** Writes a SendMessageResponse. The bytes are the caller's. */
export function writeSendMessageResponse(
  status: StatusView,
  entries: readonly SendResultView[],
): Uint8Array {
  let sizeMax = statusFieldSizeMax(status);
  for (const entry of entries) sizeMax += entrySizeMax(entry);
  const writer = new BackwardWriter(sizeMax);
  for (let index = entries.length - 1; index >= 0; index--) {
    writeEntry(writer, entries[index] as SendResultView);
  }
  writeStatusField(writer, 10, status);
  return writer.written();
}

function entrySizeMax(entry: SendResultView): number {
  return (
    24 +
    statusFieldSizeMax(entry) +
    textFieldSizeMax(entry.messageId) +
    textFieldSizeMax(entry.transactionId) +
    textFieldSizeMax(entry.recallHandle ?? "")
  );
}

function writeEntry(writer: BackwardWriter, entry: SendResultView): void {
  const end = writer.start;
  if (entry.recallHandle !== undefined && entry.recallHandle !== "") {
    writer.textField(42, entry.recallHandle);
  }
  if (entry.offset !== 0) writer.intField(32, entry.offset);
  if (entry.transactionId !== "") writer.textField(26, entry.transactionId);
  if (entry.messageId !== "") writer.textField(18, entry.messageId);
  writeStatusField(writer, 10, entry);
  writer.headBefore(18, end);
}
