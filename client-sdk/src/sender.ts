// Brings the messages of one request to a broker: picks one, calls, tries again elsewhere, and settles
// each message with its receipt or its error. Message ids stay the same over all attempts.
import { hostname } from "node:os";
import { messagingService } from "@cometmq/proto";
import type { ClientCore } from "./client-core.ts";
import { ClientError, toError } from "./client-error.ts";
import { MessageType } from "./message.ts";
import { delayAfter } from "./retry-policy.ts";
import { queueOfGroup, type Route, type RouteBroker, writableBrokers } from "./route.ts";
import { type MessageQueue, SendReceipt } from "./send-receipt.ts";
import { refusedForOne, type SendOutcome, sendOutcomes } from "./send-results.ts";
import { sipHash24 } from "./sip-hash.ts";
import { sleep } from "./timing.ts";
import { BufferPool } from "./wire/buffer-pool.ts";
import { type OutgoingMessage, writeSendRequest } from "./wire/send-request.ts";
import { readSendResponse } from "./wire/send-response.ts";

/** A message on its way, and who waits for it. */
export interface PendingSend {
  readonly message: OutgoingMessage;
  /** Milliseconds since 1970; it is settled by then. */
  readonly deadlineMs: number;
  succeed(receipt: SendReceipt): void;
  fail(error: Error): void;
}

interface Attempt {
  readonly number: number;
  readonly tried: Set<string>;
  readonly deadlineMs: number;
}

const path = messagingService.methods.SendMessage.path;
const bornHost = hostname();
const typeNames = Object.entries(MessageType);

/** Sends requests of a producer. */
export class Sender {
  readonly #core: ClientCore;
  readonly #attemptsMax: number;
  readonly #onTopic: (topic: string) => void;
  readonly #buffers = new BufferPool();
  #turn = 0;

  constructor(options: {
    readonly core: ClientCore;
    readonly attemptsMax: number;
    /** Hears of the topic of each request that has a route. */
    readonly onTopic: (topic: string) => void;
  }) {
    this.#core = options.core;
    this.#attemptsMax = options.attemptsMax;
    this.#onTopic = options.onTopic;
  }

  /** Settles every item; never rejects. Items share topic, type and message group. */
  async deliver(items: readonly PendingSend[]): Promise<void> {
    let left = items;
    let lastError: Error | undefined;
    const tried = new Set<string>();
    const deadlineMs = items[0]?.deadlineMs ?? 0;
    for (let number = 1; number <= this.#attemptsMax && left.length > 0; number++) {
      if (deadlineMs <= Date.now()) break;
      const attempt = { number, tried, deadlineMs };
      try {
        const round = await this.#tryOnce(left, attempt);
        left = round.left;
        lastError = round.error ?? lastError;
      } catch (error) {
        // That no broker came back says less than why the last one went away.
        const telling = !(error instanceof ClientError) || error.address !== undefined;
        if (telling || lastError === undefined) lastError = toError(error);
        if (!(error instanceof ClientError) || !error.retryable) break;
      }
    }
    if (left.length === 0) return;
    const error = lastError ?? lateError(left);
    for (const item of left) item.fail(error);
  }

  /** One call. Settles what is decided and gives back what deserves another attempt, with the reason. */
  async #tryOnce(
    items: readonly PendingSend[],
    attempt: Attempt,
  ): Promise<{ left: readonly PendingSend[]; error: ClientError | undefined }> {
    const broker = await this.#pick(items, attempt);
    attempt.tried.add(broker.endpoints.facade);
    const queue = this.#queueOf(items, broker);
    const outcomes = await this.#call(items, queue, attempt.deadlineMs);
    if (refusedForOne(outcomes)) {
      const middle = Math.ceil(items.length / 2);
      await this.deliver(items.slice(0, middle));
      await this.deliver(items.slice(middle));
      return { left: [], error: undefined };
    }
    const left: PendingSend[] = [];
    let error: ClientError | undefined;
    items.forEach((item, index) => {
      const outcome = outcomes[index];
      if (outcome === undefined) return;
      if (!(outcome instanceof ClientError)) {
        return item.succeed(new SendReceipt(item.message.messageId, outcome, queue));
      }
      if (outcome.code === "TOPIC_NOT_FOUND") this.#core.routeDoubted();
      if (!outcome.retryable) return item.fail(outcome);
      error = outcome;
      left.push(item);
    });
    const [first] = left;
    if (error !== undefined && first !== undefined) {
      await this.#pause(error, attempt, first.message);
    }
    return { left, error };
  }

  async #pick(items: readonly PendingSend[], attempt: Attempt): Promise<RouteBroker> {
    const topic = items[0]?.message.topic ?? "";
    const group = items[0]?.message.messageGroup;
    const leftMs = attempt.deadlineMs - Date.now();
    const broker = await this.#core.usableBroker({
      topic,
      choose: group === undefined ? writableBrokers : (route) => brokerOfGroup(route, group),
      turn: this.#turn++,
      tried: attempt.tried,
      waitMaxMs: Math.min(leftMs, this.#core.options.requestTimeoutMs),
      signal: this.#core.closing,
    });
    if (broker !== undefined) {
      this.#onTopic(topic);
      return broker;
    }
    throw new ClientError(
      "UNREACHABLE",
      "no broker that takes messages of the topic can be reached: check that one runs and that the topic is writable",
      { topic },
    );
  }

  #queueOf(items: readonly PendingSend[], broker: RouteBroker): MessageQueue {
    const message = items[0]?.message;
    const topic = message?.topic ?? "";
    const type = message?.messageType ?? 0;
    const { acceptMessageTypes, writableQueueIds } = broker;
    const checked = this.#core.settings.validateMessageType && acceptMessageTypes.length > 0;
    if (checked && !acceptMessageTypes.includes(type)) {
      throw new ClientError(
        "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE",
        `the topic takes ${acceptMessageTypes.map(typeName).join(", ")}, the message is ${typeName(type)}; change the topic's message.type or the message`,
        { topic, address: broker.endpoints.facade },
      );
    }
    const group = message?.messageGroup;
    const queueId =
      group === undefined
        ? writableQueueIds[this.#turn % writableQueueIds.length]
        : queueOfGroup([broker], sipHash24(group))?.queueId;
    return { topic, queueId: queueId ?? 0, broker };
  }

  /** One outcome an item. Throws when the whole call failed. */
  async #call(
    items: readonly PendingSend[],
    queue: MessageQueue,
    deadlineMs: number,
  ): Promise<readonly SendOutcome[]> {
    const { topic } = queue;
    const messages = items.map((item) => item.message);
    const nowMs = Date.now();
    const request = writeSendRequest(
      {
        namespace: this.#core.options.namespace,
        topic,
        queueId: queue.queueId,
        messageType: messages[0]?.messageType ?? 0,
        bornHost,
        bornTimestampMs: nowMs,
      },
      messages,
      this.#buffers,
    );
    const link = this.#core.link(queue.broker.endpoints);
    const place = { address: link.channel.address, topic };
    const timeoutMs = Math.max(
      1,
      Math.min(this.#core.options.requestTimeoutMs, deadlineMs - nowMs),
    );
    try {
      const bytes = await link.channel.unary(path, request, { timeoutMs, topic });
      // The server has read the request; after a failure that is not known, and the buffer is left alone.
      this.#buffers.give(request);
      const answer = readSendResponse(bytes);
      return sendOutcomes(answer, messages, place);
    } catch (error) {
      link.reportFailure(error);
      if (!(error instanceof RangeError)) throw error;
      throw new ClientError("PROTOCOL", `SendMessage: ${error.message}`, {
        ...place,
        cause: error,
      });
    }
  }

  /** Waits before the next attempt when the broker asked for it, or when no other broker is there. */
  async #pause(error: ClientError, attempt: Attempt, message: OutgoingMessage): Promise<void> {
    if (attempt.number >= this.#attemptsMax) return;
    if (error.code !== "TOO_MANY_REQUESTS" && message.messageGroup === undefined) {
      const brokers = writableBrokers(await this.#core.route(message.topic));
      if (brokers.some((broker) => !attempt.tried.has(broker.endpoints.facade))) return;
    }
    const delayMs = delayAfter(this.#core.settings.sendPolicy, attempt.number);
    const leftMs = Math.max(0, attempt.deadlineMs - Date.now());
    await sleep(Math.min(delayMs, leftMs), this.#core.closing);
  }
}

function typeName(type: number): string {
  return typeNames.find(([, value]) => value === type)?.[0] ?? String(type);
}

function brokerOfGroup(route: Route, group: string): readonly RouteBroker[] {
  const place = queueOfGroup(writableBrokers(route), sipHash24(group));
  return place === undefined ? [] : [place.broker];
}

function lateError(items: readonly PendingSend[]): ClientError {
  return new ClientError(
    "TIMEOUT",
    "the message waited in the send buffer until its deadline: the broker takes less than is sent",
    { topic: items[0]?.message.topic },
  );
}
