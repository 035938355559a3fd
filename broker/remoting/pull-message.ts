// PullMessage: messages of one queue from an offset on; held at its end while there are none. Nothing is handed out:
// where the client goes on is its own business, and stands last in the answer.
import {
  messagingService,
  msOfDuration,
  ReceiveMessageWriter,
  type rocketmq,
} from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import { type MethodHandler, RpcError, type ServerStream } from "../../transport/index.ts";
import { clientTypes } from "../clients/index.ts";
import type { Pulled, PulledMessage, PullRequest } from "../delivery/index.ts";
import { addMessage, answerSize, chunkSizeBytes } from "./answered-message.ts";
import { callerOf } from "./caller.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { FilterCache } from "./filter-cache.ts";
import { pullElsewhere } from "./pull-elsewhere.ts";
import { isQueueHere, ownedQueue } from "./queue-owner.ts";
import { groupFor, readableQueue, requireConsuming, servedHere } from "./resources.ts";
import { failureOf, okStatus, type StatusFields, statusOf } from "./unary.ts";

const method = messagingService.methods.PullMessage;
const noMessage: StatusFields = statusOf(new MqError("MESSAGE_NOT_FOUND", "no new message"));

/** The handler of PullMessage. */
export function pullMessage(context: RemotingContext): MethodHandler {
  const puller = new Puller(context);
  return { kind: "serverStream", handle: (request, stream) => puller.handle(request, stream) };
}

class Puller {
  readonly #context: RemotingContext;
  readonly #filters = new FilterCache();

  constructor(context: RemotingContext) {
    this.#context = context;
  }

  async handle(bytes: Uint8Array, stream: ServerStream): Promise<void> {
    try {
      const request = method.request.decode(bytes);
      const queue = ownedQueue(request.messageQueue);
      callerOf(stream);
      if (!isQueueHere(this.#context, queue, stream)) {
        const wanted = { queue, request: Uint8Array.from(bytes) };
        const end = await pullElsewhere(this.#context, stream, wanted);
        if (end === "done") return;
        if (end === "empty") return await answer(stream, noMessage, request.offset);
      }
      await this.#pull(request, stream);
    } catch (error) {
      if (error instanceof RpcError) throw error;
      await answer(stream, statusOf(failureOf(error, this.#context.logger, method.path)));
    }
  }

  async #pull(request: rocketmq.v2.PullMessageRequest, stream: ServerStream): Promise<void> {
    const { clients } = this.#context;
    const identity = callerOf(stream);
    const { connection } = stream;
    if (clients.isTerminated(identity.id, connection)) {
      return await answer(stream, noMessage, request.offset);
    }
    const parts = servedHere(this.#context);
    const wish = await this.#read(request, stream, parts);
    const pulled = await parts.delivery.pulls.pull(wish);
    if (pulled.kind === "found") return await this.#hand(pulled, stream, wish);
    await answer(stream, statusOfNothing(pulled, wish), pulled.nextOffset);
  }

  async #read(
    request: rocketmq.v2.PullMessageRequest,
    stream: ServerStream,
    { metadata }: LocalParts,
  ): Promise<PullRequest> {
    const { config, clients } = this.#context;
    const identity = callerOf(stream);
    const { connection, signal } = stream;
    const expression = request.filterExpression?.expression ?? "*";
    const filterType = request.filterExpression?.type ?? 0;
    const filter = this.#filters.get(filterType, expression);
    const needs = { config, metadata };
    const { topic, queueId } = await readableQueue(needs, request.messageQueue);
    const group = await groupFor(needs, request.group?.name ?? "", [topic.name]);
    requireConsuming(group);
    const client = clients.seen(identity, connection);
    const subscription = { topic: topic.name, filterType, expression };
    clients.consuming(client, group.name, subscription, clientTypes.pullConsumer);
    return {
      group,
      topic: topic.name,
      queueId,
      offset: request.offset,
      countMax: Math.min(Math.max(request.batchSize, 1), limits.pullBatchCountMax),
      filter,
      pollingMs: pullingTimeMs(request, stream.remainingMs()),
      clientId: identity.id,
      signal,
      isClientGone: () =>
        connection.closed.aborted ||
        this.#context.isStopping() ||
        clients.isTerminated(identity.id, connection),
    };
  }

  async #hand(
    { messages, nextOffset }: Extract<Pulled, { readonly kind: "found" }>,
    stream: ServerStream,
    wish: PullRequest,
  ): Promise<void> {
    const { traffic } = this.#context;
    const bytes = await this.#write(messages, stream, wish);
    if (bytes === undefined) return;
    const writer = new ReceiveMessageWriter();
    writer.nextOffset(nextOffset);
    stream.writeFramed(writer.take());
    if ((await stream.finish()) !== "written") return;
    for (const count of [traffic.received(wish.group.name, wish.topic), traffic.total.out]) {
      count.messages += messages.length;
      count.bytes += bytes;
    }
  }

  /** Writes status and messages; gives the bytes of all bodies, undefined when the stream is lost. */
  async #write(
    messages: readonly PulledMessage[],
    stream: ServerStream,
    { topic, queueId }: PullRequest,
  ): Promise<number | undefined> {
    const { connection } = stream;
    const storeHost = `${connection.localAddress}:${connection.localPort}`;
    const writer = new ReceiveMessageWriter(answerSize(messages));
    let total = 0;
    writer.status(okStatus.code, okStatus.message);
    for (const { record, queueOffset } of messages) {
      const message = { record, queueId, queueOffset, ...notHandedOut };
      total += addMessage(writer, message, { topic, storeHost });
      if (writer.size < chunkSizeBytes) continue;
      if (!stream.writeFramed(writer.take())) await stream.drained();
      if (stream.signal.aborted) return undefined;
    }
    if (writer.size > 0) stream.writeFramed(writer.take());
    return total;
  }
}

/** What a message has that nobody has to acknowledge. */
const notHandedOut = { receiptHandle: "", attempt: 0, invisibleMs: 0 } as const;

/** How long the pull may be held: as long as the client wants, within the server's bound and the call's deadline. */
function pullingTimeMs(request: rocketmq.v2.PullMessageRequest, remainingMs: number): number {
  const wantedMs = request.longPollingTimeout ? msOfDuration(request.longPollingTimeout) : 0;
  const latestMs = remainingMs - limits.answerHeadroomMs;
  return Math.max(0, Math.min(wantedMs, limits.pollingMaxMs, latestMs));
}

function statusOfNothing(
  pulled: Exclude<Pulled, { readonly kind: "found" }>,
  { offset, topic, queueId }: PullRequest,
): StatusFields {
  if (pulled.kind === "nothing") return noMessage;
  const { minOffset, endOffset, nextOffset } = pulled;
  const why = offset < minOffset ? "is too small" : "is out of range";
  return statusOf(
    new MqError(
      "ILLEGAL_OFFSET",
      `offset ${offset} ${why}: queue ${queueId} of ${topic} has ${minOffset} to ${endOffset}; ` +
        `the nearest is ${nextOffset}`,
    ),
  );
}

/** An answer without messages; `nextOffset` is left out when nothing is known of the queue. */
async function answer(
  stream: ServerStream,
  status: StatusFields,
  nextOffset?: number,
): Promise<void> {
  const writer = new ReceiveMessageWriter();
  writer.status(status.code, status.message);
  if (nextOffset !== undefined) writer.nextOffset(Math.max(0, nextOffset));
  stream.writeFramed(writer.take());
  await stream.finish();
}
