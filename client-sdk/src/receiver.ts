// Receives messages: one long poll at one broker.
import { durationOfMs, messagingService } from "@cometmq/proto";
import { JoinedSignal, onAbort } from "./abort-listeners.ts";
import type { ClientCore } from "./client-core.ts";
import { ClientError, statusError, statusMessageNotFound } from "./client-error.ts";
import type { FilterExpression } from "./filter-expression.ts";
import { MessageView } from "./message-view.ts";
import type { RouteBroker } from "./route.ts";
import { type ReceivedMessage, readReceiveFrame } from "./wire/receive-response.ts";
import type { StatusView } from "./wire/send-response.ts";

/** One poll. */
export interface ReceivePoll {
  readonly topic: string;
  readonly filter: FilterExpression;
  readonly broker: RouteBroker;
  readonly turn: number;
  readonly countMax: number;
  /** Milliseconds the messages stay invisible to others; undefined lets the broker renew until they are settled. */
  readonly invisibleMs: number | undefined;
  readonly longPollingMs: number;
  /** Gives the poll up, whatever it has got. */
  readonly signal: AbortSignal;
  /** Ends the poll with no messages, unless some are on their way already. */
  readonly stop?: AbortSignal | undefined;
}

const { ReceiveMessage } = messagingService.methods;
const permissionReadWrite = 4;

interface Collected {
  readonly messages: ReceivedMessage[];
  status: StatusView | undefined;
  deliveredAt: Date | undefined;
  broken: Error | undefined;
}

/** Receives for one consumer group. */
export class Receiver {
  readonly #core: ClientCore;
  readonly #consumerGroup: string;

  constructor(core: ClientCore, consumerGroup: string) {
    this.#core = core;
    this.#consumerGroup = consumerGroup;
  }

  /** The messages of one poll, none when it ended empty. Rejects by `longPollingMs` plus the request timeout. */
  async receive(poll: ReceivePoll): Promise<MessageView[]> {
    const { topic, broker } = poll;
    const link = this.#core.link(broker.endpoints);
    const place = { address: link.channel.address, topic };
    const collected: Collected = {
      messages: [],
      status: undefined,
      deliveredAt: undefined,
      broken: undefined,
    };
    const halt = new AbortController();
    const onStop = (): void => {
      if (collected.messages.length === 0) halt.abort();
    };
    if (poll.stop?.aborted === true) return [];
    const leave = onAbort(poll.stop, onStop);
    using joined = new JoinedSignal([poll.signal, halt.signal]);
    try {
      await link.channel.serverStream(ReceiveMessage.path, this.#request(poll), {
        timeoutMs: poll.longPollingMs + this.#core.options.requestTimeoutMs,
        signal: joined.signal,
        topic,
        onMessage: (bytes) => collect(bytes, collected),
      });
      if (collected.broken !== undefined) {
        const text = `ReceiveMessage: ${collected.broken.message}`;
        throw new ClientError("PROTOCOL", text, { ...place, cause: collected.broken });
      }
    } catch (error) {
      if (halt.signal.aborted && !poll.signal.aborted) return [];
      this.#core.reportFailure(link, error);
      throw error;
    } finally {
      leave();
    }
    try {
      const messages = this.#views(collected, poll, place);
      link.noteSuccess();
      return messages;
    } catch (error) {
      this.#core.reportRefusal(link, error);
      throw error;
    }
  }

  #views(
    collected: Collected,
    poll: ReceivePoll,
    place: { readonly address: string; readonly topic: string },
  ): MessageView[] {
    const { messages, status, deliveredAt } = collected;
    if (status?.code === statusMessageNotFound && messages.length === 0) return [];
    const error = statusError(status, "ReceiveMessage", place);
    if (error !== undefined && (messages.length === 0 || error.code === "PROTOCOL")) throw error;
    const decodedAt = new Date();
    const { name, endpoints } = poll.broker;
    const from = {
      endpoints,
      brokerName: name,
      invisibleMs: poll.invisibleMs,
      deliveredAt,
      decodedAt,
    };
    return messages.map((message) => new MessageView(message, from));
  }

  #request(poll: ReceivePoll): Uint8Array {
    const { broker } = poll;
    const ids = broker.readableQueueIds;
    const { invisibleMs } = poll;
    return ReceiveMessage.request.encode({
      group: this.#core.resource(this.#consumerGroup),
      messageQueue: {
        topic: this.#core.resource(poll.topic),
        id: ids[poll.turn % ids.length] ?? 0,
        permission: permissionReadWrite,
        broker: {
          name: broker.name,
          id: broker.id,
          endpoints: { addresses: [...broker.endpoints.addressesList] },
        },
      },
      filterExpression: { type: poll.filter.filterType, expression: poll.filter.expression },
      batchSize: poll.countMax,
      longPollingTimeout: durationOfMs(poll.longPollingMs),
      ...(invisibleMs === undefined
        ? { autoRenew: true }
        : { autoRenew: false, invisibleDuration: durationOfMs(invisibleMs) }),
    });
  }
}

function collect(bytes: Buffer, collected: Collected): void {
  try {
    const frame = readReceiveFrame(bytes);
    if (frame.kind === "message") collected.messages.push(frame.message);
    else if (frame.kind === "status") collected.status = frame.status;
    else if (frame.kind === "deliveryTimestamp") collected.deliveredAt = new Date(frame.ms);
  } catch (error) {
    collected.broken ??= error instanceof Error ? error : new Error(String(error));
  }
}
