// AckMessage over bytes.
import { type StatusView, statusFieldSizeMax, writeStatusField } from "./status.ts";
import { WireReader } from "./wire-reader.ts";
import { BackwardWriter, textFieldSizeMax } from "./wire-writer.ts";

/** One message to acknowledge. */
export interface AckEntryView {
  readonly messageId: string;
  readonly receiptHandle: string;
  readonly liteTopic: string | undefined;
}

/** An AckMessageRequest. */
export interface AckMessageView {
  readonly groupNamespace: string;
  readonly group: string;
  readonly topicNamespace: string;
  readonly topic: string;
  readonly entries: readonly AckEntryView[];
}

/** What became of one acknowledgement; one for each entry of the request, in order. */
export interface AckResultView extends StatusView {
  readonly messageId: string;
  readonly receiptHandle: string;
}

class Resource {
  space = "";
  name = "";
}

/** Reads an AckMessageRequest. Throws ProtoError when the bytes are not one. */
export function readAckMessageRequest(bytes: Uint8Array): AckMessageView {
  const reader = new WireReader(bytes);
  const group = new Resource();
  const topic = new Resource();
  const entries: AckEntryView[] = [];
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 10) readResource(reader, group);
    else if (tag === 18) readResource(reader, topic);
    else if (tag === 26) entries.push(readEntry(reader));
    else reader.skip(tag);
  }
  return {
    groupNamespace: group.space,
    group: group.name,
    topicNamespace: topic.space,
    topic: topic.name,
    entries,
  };
}

/** Writes an AckMessageResponse. The bytes are the caller's. */
export function writeAckMessageResponse(
  status: StatusView,
  entries: readonly AckResultView[],
): Uint8Array {
  let sizeMax = statusFieldSizeMax(status);
  for (const entry of entries) sizeMax += entrySizeMax(entry);
  const writer = new BackwardWriter(sizeMax);
  for (let index = entries.length - 1; index >= 0; index--) {
    writeEntry(writer, entries[index] as AckResultView);
  }
  writeStatusField(writer, 10, status);
  return writer.written();
}

function entrySizeMax(entry: AckResultView): number {
  return (
    12 +
    statusFieldSizeMax(entry) +
    textFieldSizeMax(entry.messageId) +
    textFieldSizeMax(entry.receiptHandle)
  );
}

function writeEntry(writer: BackwardWriter, entry: AckResultView): void {
  const end = writer.start;
  writeStatusField(writer, 26, entry);
  if (entry.receiptHandle !== "") writer.textField(18, entry.receiptHandle);
  if (entry.messageId !== "") writer.textField(10, entry.messageId);
  writer.headBefore(18, end);
}

function readResource(reader: WireReader, into: Resource): void {
  const outerEnd = reader.enter();
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 10) into.space = reader.interned();
    else if (tag === 18) into.name = reader.interned();
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
}

function readEntry(reader: WireReader): AckEntryView {
  const outerEnd = reader.enter();
  let messageId = "";
  let receiptHandle = "";
  let liteTopic: string | undefined;
  while (reader.pos < reader.end) {
    const tag = reader.tag();
    if (tag === 10) messageId = reader.text();
    else if (tag === 18) receiptHandle = reader.text();
    else if (tag === 26) liteTopic = reader.text();
    else reader.skip(tag);
  }
  reader.leave(outerEnd);
  return { messageId, receiptHandle, liteTopic };
}
