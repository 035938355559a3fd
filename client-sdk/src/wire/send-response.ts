// Reads SendMessageResponse bytes.
import { WireReader } from "./wire-reader.ts";

/** A status of the server. Code 0 means the server set none. */
export interface StatusView {
  readonly code: number;
  readonly message: string;
}

/** The result of one message. */
export interface SendResult {
  readonly status: StatusView | undefined;
  readonly messageId: string;
  readonly transactionId: string;
  readonly offset: number;
  readonly recallHandle: string;
}

/** The answer to a send: `status` is undefined when the server set none. */
export interface SendResponse {
  readonly status: StatusView | undefined;
  readonly entries: readonly SendResult[];
}

/** Reads a response. Throws RangeError when the bytes are broken. */
export function readSendResponse(bytes: Buffer): SendResponse {
  const reader = new WireReader(bytes);
  let status: StatusView | undefined;
  const entries: SendResult[] = [];
  while (reader.more) {
    const key = reader.varint();
    if (key === 0x0a) status = readStatus(reader.nested());
    else if (key === 0x12) entries.push(readEntry(reader.nested()));
    else reader.skip(key);
  }
  return { status, entries };
}

/** Reads a Status message. */
export function readStatus(reader: WireReader): StatusView {
  let code = 0;
  let message = "";
  while (reader.more) {
    const key = reader.varint();
    if (key === 0x08) code = reader.varint();
    else if (key === 0x12) message = reader.text();
    else reader.skip(key);
  }
  return { code, message };
}

function readEntry(reader: WireReader): SendResult {
  const entry = {
    status: undefined as StatusView | undefined,
    messageId: "",
    transactionId: "",
    offset: 0,
    recallHandle: "",
  };
  while (reader.more) {
    const key = reader.varint();
    if (key === 0x0a) entry.status = readStatus(reader.nested());
    else if (key === 0x12) entry.messageId = reader.text();
    else if (key === 0x1a) entry.transactionId = reader.text();
    else if (key === 0x20) entry.offset = reader.varint();
    else if (key === 0x2a) entry.recallHandle = reader.text();
    else reader.skip(key);
  }
  return entry;
}
