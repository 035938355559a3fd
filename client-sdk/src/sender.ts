// Brings the messages of one request to a broker: picks one, calls, tries again until the deadline, and settles
// each message with its receipt or its error. Message ids stay the same over all attempts. Messages of a group
// go to the broker name and queue of that group, and wait for them.
import { hostname } from "node:os";
import { messagingService } from "@cometmq/proto";
import type { ClientCore } from "./client-core.ts";
import { ClientError, toError } from "./client-error.ts";
import { MessageType } from "./message.ts";
import { queueOfGroup, type Route, type RouteBroker, writableBrokers } from "./route.ts";
import { failureKind, SendAttempts } from "./send-attempts.ts";
import { type MessageQueue, SendReceipt } from "./send-receipt.ts";
import { mayBeNeighboursFault, type SendOutcome, sendOutcomes } from "./send-results.ts";
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
    const deadlineMs = items[0]?.deadlineMs ?? 0;
    // Sent twice, a half message would be asked about as if it were two transactions.
    const isHalf = items[0]?.message.messageType === MessageType.TRANSACTION;
    const attempts = new SendAttempts({ max: isHalf ? 1 : this.#attemptsMax, turn: this.#turn++ });
    let left = items;
    let lastError: Error | undefined;
    while (left.length > 0 && Date.now() < deadlineMs) {
      let error: Error | undefined;
      try {
        const round = await this.#tryOnce(left, attempts, deadlineMs);
        left = round.left;
        error = round.error;
      } catch (thrown) {
        error = toError(thrown);
      }
      if (error === undefined || left.length === 0) continue;
      // That no broker came back says less than why the last one went away.
      const telling = !(error instanceof ClientError) || error.address !== undefined;
      if (telling || lastError === undefined) lastError = error;
      if (!(await this.#again(error, left, attempts, deadlineMs))) break;
    }
    if (left.length === 0) return;
    const error = lastError ?? lateError(left);
    for (const item of left) item.fail(error);
  }

  /** Whether to try again after `reason`; if so, waits until it is time. */
  async #again(
    reason: Error,
    left: readonly PendingSend[],
    attempts: SendAttempts,
    deadlineMs: number,
  ): Promise<boolean> {
    if (!(reason instanceof ClientError) || this.#core.closing.aborted) return false;
    const message = left[0]?.message;
    const hasOther =
      message?.messageGroup === undefined &&
      this.#core.hasOther(this.#writable(message?.topic ?? ""), attempts.tried);
    if (!attempts.goesOn(reason, hasOther)) return false;
    const delayMs = attempts.delayMs(reason, hasOther, this.#core.settings.sendPolicy);
    const leftMs = deadlineMs - Date.now();
    if (leftMs <= 0) return false;
    if (delayMs > 0) await sleep(Math.min(delayMs, leftMs), this.#core.closing).catch(toError);
    return !this.#core.closing.aborted;
  }

  #writable(topic: string): readonly RouteBroker[] {
    return writableBrokers(this.#core.knownRoute(topic)?.brokers ?? []);
  }

  /** One call. Settles what is decided and gives back what may deserve another attempt, with the reason. */
  async #tryOnce(
    items: readonly PendingSend[],
    attempts: SendAttempts,
    deadlineMs: number,
  ): Promise<{ left: readonly PendingSend[]; error: ClientError | undefined }> {
    const broker = await this.#pick(items, attempts, deadlineMs);
    attempts.tried.add(broker.endpoints.facade);
    const queue = this.#queueOf(items, broker, attempts.turn);
    const link = this.#core.link(broker.endpoints);
    const outcomes = await this.#call(items, queue, deadlineMs);
    const suspects = items.filter((_, index) => mayBeNeighboursFault(outcomes[index]));
    const isShared = suspects.length > 1;
    const left: PendingSend[] = [];
    let error: ClientError | undefined;
    items.forEach((item, index) => {
      const outcome = outcomes[index];
      if (outcome === undefined || (isShared && mayBeNeighboursFault(outcome))) return;
      if (!(outcome instanceof ClientError)) {
        return item.succeed(new SendReceipt(item.message.messageId, outcome, queue));
      }
      if (failureKind(outcome) === "final") return item.fail(outcome);
      error = outcome;
      left.push(item);
    });
    if (error === undefined) link.noteSuccess();
    else this.#core.reportRefusal(link, error);
    if (isShared) {
      // One after the other, so that a message group keeps its order.
      const middle = Math.ceil(suspects.length / 2);
      await this.deliver(suspects.slice(0, middle));
      await this.deliver(suspects.slice(middle));
    }
    return { left, error };
  }

  async #pick(
    items: readonly PendingSend[],
    attempts: SendAttempts,
    deadlineMs: number,
  ): Promise<RouteBroker> {
    const topic = items[0]?.message.topic ?? "";
    const group = items[0]?.message.messageGroup;
    const broker = await this.#core.usableBroker({
      topic,
      choose: (route) =>
        group === undefined ? writableBrokers(route.brokers) : brokersOfGroup(route, group),
      turn: attempts.turn,
      tried: attempts.tried,
      waitMaxMs: deadlineMs - Date.now(),
      signal: this.#core.closing,
    });
    if (broker !== undefined) {
      this.#onTopic(topic);
      return broker;
    }
    throw new ClientError(
      "UNREACHABLE",
      group === undefined
        ? "no broker that takes messages of the topic can be reached: check that one runs and that the topic is writable"
        : "the broker of the message group cannot be reached, and its messages wait for it, so that they keep their order",
      { topic },
    );
  }

  #queueOf(items: readonly PendingSend[], broker: RouteBroker, turn: number): MessageQueue {
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
    // Brokers take turns first, then their queues: otherwise two brokers would share the queue numbers among them.
    const brokerCount = Math.max(1, this.#writable(topic).length);
    const queueTurn = Math.floor(turn / brokerCount);
    const queueId =
      group === undefined
        ? writableQueueIds[queueTurn % writableQueueIds.length]
        : queueOfGroup(this.#core.knownRoute(topic)?.groupQueues ?? [], sipHash24(group))?.queueId;
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
      this.#core.reportFailure(link, error);
      if (!(error instanceof RangeError)) throw error;
      throw new ClientError("PROTOCOL", `SendMessage: ${error.message}`, {
        ...place,
        cause: error,
      });
    }
  }
}

function typeName(type: number): string {
  return typeNames.find(([, value]) => value === type)?.[0] ?? String(type);
}

/** Where a message group goes: the broker of its name, and none while that one is away. */
function brokersOfGroup(route: Route, group: string): readonly RouteBroker[] {
  const place = queueOfGroup(route.groupQueues, sipHash24(group));
  return writableBrokers(route.brokers).filter(({ name }) => name === place?.brokerName);
}

function lateError(items: readonly PendingSend[]): ClientError {
  return new ClientError(
    "TIMEOUT",
    "the message waited in the send buffer until its deadline: the broker takes less than is sent",
    { topic: items[0]?.message.topic },
  );
}
