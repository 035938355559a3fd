// Reads SendMessageResponse bytes.
import { WireReader } from "./wire-reader.ts";

/** A status of the server. Code 0 means the server set none. */
export interface StatusView {
  readonly code: number;
  readonly message: string;
}

/** The result of one message. */
export interface SendResult {
  status: StatusView | undefined;
  transactionId: string;
  offset: number;
  recallHandle: string;
}

/** The answer to a send: `status` is undefined when the server set none. */
export interface SendResponse {
  readonly status: StatusView | undefined;
  readonly entries: readonly SendResult[];
  /** The message id of the first entry. The others follow the order of the request. */
  readonly firstMessageId: string;
}

const codeOk = 20_000;
const okStatus: StatusView = { code: codeOk, message: "OK" };

/** Reads a response. Throws RangeError when the bytes are broken. */
export function readSendResponse(bytes: Buffer): SendResponse {
  const reader = new WireReader(bytes);
  const response = {
    status: undefined as StatusView | undefined,
    entries: [] as SendResult[],
    firstMessageId: "",
  };
  while (reader.more) {
    const key = reader.varint();
    if (key === 0x0a) response.status = readStatus(reader);
    else if (key === 0x12) readEntry(reader, response);
    else reader.skip(key);
  }
  return response;
}

/** Reads a field that is a Status message. */
export function readStatus(reader: WireReader): StatusView {
  const outerEnd = reader.enter();
  let code = 0;
  let message = "";
  while (reader.more) {
    const key = reader.varint();
    if (key === 0x08) code = reader.varint();
    else if (key === 0x12 && code !== codeOk) message = reader.text();
    else reader.skip(key);
  }
  reader.leave(outerEnd);
  return code === codeOk ? okStatus : { code, message };
}

function readEntry(
  reader: WireReader,
  response: { entries: SendResult[]; firstMessageId: string },
): void {
  const outerEnd = reader.enter();
  const entry: SendResult = { status: undefined, transactionId: "", offset: 0, recallHandle: "" };
  const isFirst = response.entries.push(entry) === 1;
  while (reader.more) {
    const key = reader.varint();
    if (key === 0x0a) entry.status = readStatus(reader);
    else if (key === 0x12 && isFirst) response.firstMessageId = reader.text();
    else if (key === 0x1a) entry.transactionId = reader.text();
    else if (key === 0x20) entry.offset = reader.varint();
    else if (key === 0x2a) entry.recallHandle = reader.text();
    else reader.skip(key);
  }
  reader.leave(outerEnd);
}
