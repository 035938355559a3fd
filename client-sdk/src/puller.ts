// Pulls messages: one call about one queue at the broker that holds it, held there while the queue has no more.
import { durationOfMs, messagingService } from "@cometmq/proto";
import type { ClientCore } from "./client-core.ts";
import { ClientError, statusError, statusMessageNotFound } from "./client-error.ts";
import type { FilterExpression } from "./filter-expression.ts";
import { MessageView } from "./message-view.ts";
import type { RouteBroker } from "./route.ts";
import type { TopicQueue } from "./topic-queue.ts";
import { readPullFrame } from "./wire/pull-response.ts";
import type { ReceivedMessage } from "./wire/receive-response.ts";
import type { StatusView } from "./wire/send-response.ts";

/** One pull. */
export interface PullCall {
  readonly queue: TopicQueue;
  readonly broker: RouteBroker;
  readonly offset: number;
  readonly filter: FilterExpression;
  readonly countMax: number;
  readonly longPollingMs: number;
  readonly signal: AbortSignal;
}

/** What came: messages, and where to go on. `outside`: the queue does not have that offset, the next one is the nearest. */
export interface Pulled {
  readonly messages: readonly MessageView[];
  readonly nextOffset: number;
  readonly outside: string | undefined;
}

const { PullMessage } = messagingService.methods;
/** Number of `Code.ILLEGAL_OFFSET`. */
const statusIllegalOffset = 40_019;

interface Collected {
  readonly messages: ReceivedMessage[];
  status: StatusView | undefined;
  nextOffset: number | undefined;
  broken: Error | undefined;
}

/** Pulls for one consumer group. */
export class Puller {
  readonly #core: ClientCore;
  readonly #consumerGroup: string;

  constructor(core: ClientCore, consumerGroup: string) {
    this.#core = core;
    this.#consumerGroup = consumerGroup;
  }

  /** Rejects by `longPollingMs` plus the request timeout. */
  async pull(call: PullCall): Promise<Pulled> {
    const { queue, broker, signal } = call;
    const link = this.#core.link(broker.endpoints);
    const place = { address: link.channel.address, topic: queue.topic };
    const collected: Collected = {
      messages: [],
      status: undefined,
      nextOffset: undefined,
      broken: undefined,
    };
    try {
      await link.channel.serverStream(PullMessage.path, this.#request(call), {
        timeoutMs: call.longPollingMs + this.#core.options.requestTimeoutMs,
        signal,
        topic: queue.topic,
        onMessage: (bytes) => collect(bytes, collected),
      });
      if (collected.broken !== undefined) {
        const text = `PullMessage: ${collected.broken.message}`;
        throw new ClientError("PROTOCOL", text, { ...place, cause: collected.broken });
      }
    } catch (error) {
      if (!signal.aborted) this.#core.reportFailure(link, error);
      throw error;
    }
    try {
      const pulled = answerOf(collected, call, place);
      link.noteSuccess();
      return pulled;
    } catch (error) {
      this.#core.reportRefusal(link, error);
      throw error;
    }
  }

  #request({ queue, broker, offset, filter, countMax, longPollingMs }: PullCall): Uint8Array {
    return PullMessage.request.encode({
      group: this.#core.resource(this.#consumerGroup),
      messageQueue: {
        topic: this.#core.resource(queue.topic),
        id: queue.queueId,
        broker: {
          name: broker.name,
          id: broker.id,
          endpoints: { addresses: [...broker.endpoints.addressesList] },
        },
      },
      offset,
      batchSize: countMax,
      filterExpression: { type: filter.filterType, expression: filter.expression },
      longPollingTimeout: durationOfMs(longPollingMs),
    });
  }
}

function answerOf(
  { messages, status, nextOffset }: Collected,
  { broker, offset }: PullCall,
  place: { readonly address: string; readonly topic: string },
): Pulled {
  const code = status?.code;
  if (code === statusIllegalOffset && nextOffset !== undefined) {
    return { messages: [], nextOffset, outside: status?.message ?? "" };
  }
  if (code === statusMessageNotFound) {
    return { messages: [], nextOffset: nextOffset ?? offset, outside: undefined };
  }
  const error = statusError(status, "PullMessage", place);
  if (error !== undefined) throw error;
  if (nextOffset === undefined) {
    throw new ClientError("PROTOCOL", "PullMessage: the answer does not say where to go on", place);
  }
  const decodedAt = new Date();
  const from = {
    endpoints: broker.endpoints,
    brokerName: broker.name,
    invisibleMs: undefined,
    deliveredAt: undefined,
    decodedAt,
  };
  // A message that is pulled is not delivered to anybody: it has no attempts.
  const views = messages.map(
    (message) => new MessageView({ ...message, deliveryAttempt: undefined }, from),
  );
  return { messages: views, nextOffset, outside: undefined };
}

function collect(bytes: Buffer, collected: Collected): void {
  try {
    const frame = readPullFrame(bytes);
    if (frame.kind === "message") collected.messages.push(frame.message);
    else if (frame.kind === "status") collected.status = frame.status;
    else if (frame.kind === "nextOffset") collected.nextOffset = frame.offset;
  } catch (error) {
    collected.broken ??= error instanceof Error ? error : new Error(String(error));
  }
}
