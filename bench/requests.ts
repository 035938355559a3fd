// The requests of the loads, encoded once.
import { messagingService, timestampOfMs } from "@cometmq/proto";
import { framed, headerBlockFor, messagesIn, type RawRequest } from "./load/raw-connection.ts";

const { methods } = messagingService;
const clientHeaders = {
  "x-mq-client-id": "bench",
  "x-mq-language": "JAVA",
  "x-mq-client-version": "5.2.0",
};

/** The path of SendMessage, for load programs that build their own requests. */
export const sendPath: string = methods.SendMessage.path;

/**
 * The id of every message of the loads that send the same bytes again and again. It is not of the clients' format, so that
 * the broker does not take them for retries: only `identifiedSends` loads the send window.
 */
const repeatedId = "00A2B3C4D5E6F7081900000000000000FF";

/** What a message may carry besides its body. */
export interface SendExtras {
  readonly messageGroup?: string;
  readonly messageId?: string;
  readonly userProperties?: Readonly<Record<string, string>>;
  /** Milliseconds since 1970: a delayed message. */
  readonly dueMs?: number;
  /** A half message, which an EndTransaction follows. */
  readonly isHalf?: boolean;
}

/** `MessageType` of the definitions. */
const messageType = { normal: 1, fifo: 2, delay: 3, transaction: 4 } as const;

function typeOf({ messageGroup, dueMs, isHalf }: SendExtras): number {
  if (isHalf === true) return messageType.transaction;
  if (dueMs !== undefined) return messageType.delay;
  return messageGroup === undefined ? messageType.normal : messageType.fifo;
}

/** A SendMessage request of one message as a framed gRPC message. */
export function sendBody(topic: string, size: number, extras: SendExtras = {}): Buffer {
  const { messageGroup, messageId = repeatedId, userProperties = {}, dueMs } = extras;
  const message = {
    topic: { name: topic },
    userProperties,
    systemProperties: {
      tag: "bench",
      messageId,
      bodyEncoding: 1,
      messageType: typeOf(extras),
      ...(messageGroup === undefined ? {} : { messageGroup }),
      ...(dueMs === undefined ? {} : { deliveryTimestamp: timestampOfMs(dueMs) }),
      bornTimestamp: { seconds: 1_700_000_000 },
      bornHost: "bench",
      queueId: -1,
    },
    body: Buffer.alloc(size, "x"),
  };
  return framed(methods.SendMessage.request.encode({ messages: [message] }));
}

/** A SendMessage request ready for a raw connection. */
export function sendRequest(topic: string, size: number, extras: SendExtras = {}): RawRequest {
  const headerBlock = headerBlockFor(sendPath, clientHeaders);
  return { headerBlock, body: sendBody(topic, size, extras) };
}

/** Sends whose message ids are of the clients' format and all different. */
export interface IdentifiedSends {
  readonly requests: readonly RawRequest[];
  /** Gives every request an id that none has had; while none is in flight. `round` is in `[0, 65,535]`. */
  renew(round: number): void;
}

/** `count` sends of one message each. */
export function identifiedSends(topic: string, size: number, count: number): IdentifiedSends {
  const headerBlock = headerBlockFor(sendPath, clientHeaders);
  const start = "01A2B3C4D5E6F70819";
  const roundAt = start.length;
  const requests = Array.from({ length: count }, (_, index) => {
    const id = `${start}0000${hex(index, 12)}`;
    return { headerBlock, body: sendBody(topic, size, { messageId: id }) };
  });
  return {
    requests,
    renew: (round) => {
      for (const { body } of requests) body.write(hex(round, 4), body.indexOf(start) + roundAt);
    },
  };
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, "0");
}

/** A ReceiveMessage request of up to 32 messages, of all or of those for which `sql` is true. */
export function receiveRequest(topic: string, group: string, sql?: string): RawRequest {
  const request = {
    group: { name: group },
    messageQueue: { topic: { name: topic }, id: -1, permission: 4 },
    filterExpression: { type: sql === undefined ? 1 : 2, expression: sql ?? "*" },
    batchSize: 32,
    invisibleDuration: { seconds: 60 },
    autoRenew: false,
    longPollingTimeout: { seconds: 5 },
  };
  return {
    headerBlock: headerBlockFor(methods.ReceiveMessage.path, {
      ...clientHeaders,
      "grpc-timeout": "30S",
    }),
    body: framed(methods.ReceiveMessage.request.encode(request)),
  };
}

const ackHeaders = headerBlockFor(methods.AckMessage.path, clientHeaders);

/** An AckMessage request for what one receive gave. */
export function ackRequest(
  topic: string,
  group: string,
  entries: readonly { readonly messageId: string; readonly receiptHandle: string }[],
): RawRequest {
  const request = { group: { name: group }, topic: { name: topic }, entries: [...entries] };
  return { headerBlock: ackHeaders, body: framed(methods.AckMessage.request.encode(request)) };
}

/** The receipt handles of the messages in one framed piece of a ReceiveMessage answer; undefined for other frames. */
export function receivedHandle(
  frame: Uint8Array,
): { readonly messageId: string; readonly receiptHandle: string } | undefined {
  const { message } = methods.ReceiveMessage.response.decode(frame);
  const system = message?.systemProperties;
  if (system === undefined || system === null) return undefined;
  return { messageId: system.messageId ?? "", receiptHandle: system.receiptHandle ?? "" };
}

const endHeaders = headerBlockFor(methods.EndTransaction.path, clientHeaders);

/** The commit of the transaction whose half message was answered so. Throws when it was refused. */
export function commitRequest(topic: string, answer: Buffer): RawRequest {
  const [bytes = Buffer.alloc(0)] = messagesIn(answer);
  const { status, entries } = methods.SendMessage.response.decode(bytes);
  const [entry] = entries;
  if (entry === undefined) throw new Error(`refused: ${status?.message}`);
  const { messageId, transactionId } = entry;
  const request = { topic: { name: topic }, messageId, transactionId, resolution: 1 };
  return { headerBlock: endHeaders, body: framed(methods.EndTransaction.request.encode(request)) };
}
