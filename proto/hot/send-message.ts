// SendMessage over bytes: the request is read into views, the answer is written in one piece.
import { type MessageView, readMessage } from "./message-view.ts";
import { type StatusView, statusFieldSize, writeStatusField } from "./status.ts";
import { WireReader } from "./wire-reader.ts";
import { intSize, lengthSize, textFieldSize, WireWriter } from "./wire-writer.ts";

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
  let size = statusFieldSize(status);
  for (const entry of entries) size += 1 + lengthSize(entrySize(entry));
  const writer = new WireWriter(Buffer.allocUnsafe(size));
  writeStatusField(writer, 10, status);
  for (const entry of entries) writeEntry(writer, entry);
  return writer.bytes;
}

function entrySize(entry: SendResultView): number {
  const idSize = textFieldSize(entry.messageId);
  const sameId = entry.transactionId === entry.messageId;
  return (
    statusFieldSize(entry) +
    idSize +
    (sameId ? idSize : textFieldSize(entry.transactionId)) +
    (entry.offset === 0 ? 0 : 1 + intSize(entry.offset)) +
    textFieldSize(entry.recallHandle ?? "")
  );
}

function writeEntry(writer: WireWriter, entry: SendResultView): void {
  writer.byte(18);
  writer.varint(entrySize(entry));
  writeStatusField(writer, 10, entry);
  writer.textField(18, entry.messageId);
  writer.textField(26, entry.transactionId);
  if (entry.offset !== 0) {
    writer.byte(32);
    writer.int(entry.offset);
  }
  writer.textField(42, entry.recallHandle ?? "");
}
