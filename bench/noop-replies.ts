// Fixed answers of the no-op server: enough of the protocol for the SDK to start and to believe all went well.
import { Code, messagingService, rocketmq } from "@cometmq/proto";

const { methods } = messagingService;
const topicName = "bench";
const okStatus = { code: Code.OK, message: "OK" };

/** What the no-op server answers, encoded once. */
export interface NoopReplies {
  readonly ok: Buffer;
  readonly queryRoute: (request: Buffer) => Buffer;
  readonly sendMessage: (request: Buffer) => Buffer;
  readonly ackMessage: (request: Buffer) => Buffer;
  readonly receiveMessage: () => readonly Buffer[];
  readonly telemetry: (command: Buffer) => Buffer;
}

/** Body size of a received message, bytes. */
const receivedBodySize = 1024;
const receivedCount = 32;
const messageId = "01000000000000000000000000000000FF";
const receiptHandle = "h".repeat(60);
/** Number of `entries` in AckMessageRequest. */
const ackEntriesField = 3;

/** Builds the answers of a server on `port`. */
export function noopReplies(port: number): NoopReplies {
  const receiveFrames = receivedMessages();
  const bySend = new Map<number, Buffer>();
  const byAck = new Map<number, Buffer>();
  return {
    ok: Buffer.from(methods.Heartbeat.response.encode({ status: okStatus })),
    queryRoute: () => Buffer.from(methods.QueryRoute.response.encode(routeOf(port))),
    sendMessage: (request) => {
      const count = fieldCount(request, 1);
      return cached(bySend, count, () =>
        methods.SendMessage.response.encode({
          status: okStatus,
          entries: Array.from({ length: count }, () => ({
            status: okStatus,
            messageId,
            transactionId: messageId,
            offset: 1,
          })),
        }),
      );
    },
    ackMessage: (request) => {
      const count = fieldCount(request, ackEntriesField);
      return cached(byAck, count, () =>
        methods.AckMessage.response.encode({
          status: okStatus,
          entries: Array.from({ length: count }, () => ({
            status: okStatus,
            messageId,
            receiptHandle,
          })),
        }),
      );
    },
    receiveMessage: () => receiveFrames,
    telemetry: (command) => {
      const { settings } = methods.Telemetry.request.decode(command);
      if (settings !== undefined && settings !== null) settings.backoffPolicy = backoffPolicy;
      return Buffer.from(
        methods.Telemetry.response.encode({ status: okStatus, ...(settings ? { settings } : {}) }),
      );
    },
  };
}

const backoffPolicy = new rocketmq.v2.RetryPolicy({
  maxAttempts: 3,
  exponentialBackoff: { initial: { nanos: 10_000_000 }, max: { seconds: 1 }, multiplier: 2 },
});

/** Counts a repeated message field by stepping from field to field: the least a server can do to answer. */
function fieldCount(request: Buffer, field: number): number {
  const wanted = field * 8 + 2;
  let count = 0;
  for (let at = 0; at < request.length; ) {
    if (request[at++] === wanted) count++;
    let size = 0;
    let shift = 0;
    let byte = 0x80;
    while (byte >= 0x80 && at < request.length) {
      byte = request[at++] ?? 0;
      size += (byte & 0x7f) * 2 ** shift;
      shift += 7;
    }
    at += size;
  }
  return Math.max(1, count);
}

function cached(store: Map<number, Buffer>, count: number, make: () => Uint8Array): Buffer {
  let reply = store.get(count);
  if (reply === undefined) {
    reply = Buffer.from(make());
    store.set(count, reply);
  }
  return reply;
}

function routeOf(port: number): object {
  return {
    status: okStatus,
    messageQueues: [
      {
        topic: { name: topicName },
        id: 0,
        permission: 4,
        broker: {
          name: "noop",
          id: 0,
          endpoints: { scheme: 1, addresses: [{ host: "127.0.0.1", port }] },
        },
        acceptMessageTypes: [1],
      },
    ],
  };
}

function receivedMessages(): readonly Buffer[] {
  const encode = (value: object): Buffer =>
    Buffer.from(methods.ReceiveMessage.response.encode(value));
  const message = {
    topic: { name: topicName },
    systemProperties: {
      messageId,
      bodyEncoding: 1,
      messageType: 1,
      bornHost: "127.0.0.1",
      bornTimestamp: { seconds: 1 },
      receiptHandle,
      deliveryAttempt: 1,
      queueId: 0,
      queueOffset: 1,
    },
    body: Buffer.alloc(receivedBodySize, 120),
  };
  const frames = [encode({ status: okStatus })];
  for (let i = 0; i < receivedCount; i++) frames.push(encode({ message }));
  frames.push(encode({ deliveryTimestamp: { seconds: 1 } }));
  return frames;
}
