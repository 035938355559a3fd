// Settles received messages: acknowledges them, many in one call, or changes when they come again. Calls go to
// whoever is master of the broker's name now, and again while nobody is, until others may get the messages anyway.
import { durationOfMs, messagingService, type rocketmq } from "@cometmq/proto";
import { abortReason, JoinedSignal, onAbort } from "./abort-listeners.ts";
import { BatchLane } from "./batch-lane.ts";
import type { BrokerLink } from "./broker-link.ts";
import type { ClientCore } from "./client-core.ts";
import { ClientError, statusError, toError } from "./client-error.ts";
import type { MessageView } from "./message-view.ts";
import { defaultSendPolicy, delayAfter } from "./retry-policy.ts";

interface PendingAck {
  readonly message: MessageView;
  readonly given: { up: boolean };
  readonly succeed: () => void;
  readonly fail: (error: Error) => void;
}

interface SettleCall<T> {
  /** One of the messages; all are from one broker and topic. */
  readonly message: MessageView;
  /** Milliseconds since 1970 after which nothing is gained by another try. */
  readonly endMs: number;
  readonly path: string;
  readonly request: Uint8Array;
  readonly read: (bytes: Buffer, place: Place) => T;
  readonly signal?: AbortSignal | undefined;
}

interface AckAnswer {
  readonly entries: readonly rocketmq.v2.IAckMessageResultEntry[];
  readonly refused: ClientError | undefined;
  readonly place: Place;
}

interface Place {
  readonly address: string;
  readonly topic: string;
}

const ackCountMax = 128;
const acksInFlightMax = 4;
const attemptsMax = 3;
/** Failures that say that no master is there now; they are tried again for as long as it makes sense. */
const absenceCodes: ReadonlySet<string> = new Set([
  "UNREACHABLE",
  "TIMEOUT",
  "HA_NOT_AVAILABLE",
  "INTERNAL_SERVER_ERROR",
]);
const absenceDelayMinMs = 50;
const absenceDelayMaxMs = 1_000;
/** How long that is at most, and for messages whose broker moves their invisible time on by itself. */
const absenceMaxMs = 60_000;

const { AckMessage, ChangeInvisibleDuration, ForwardMessageToDeadLetterQueue } =
  messagingService.methods;

/** Settles messages of one consumer group. What waits here is bounded by the messages that were received. */
export class Settler {
  readonly #core: ClientCore;
  readonly #consumerGroup: string;
  readonly #lanes = new Map<string, BatchLane<PendingAck>>();

  constructor(core: ClientCore, consumerGroup: string) {
    this.#core = core;
    this.#consumerGroup = consumerGroup;
  }

  /** Acknowledges a message. Rejects with INVALID_RECEIPT_HANDLE when it was handed out again meanwhile. */
  ack(message: MessageView, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(abortReason(signal));
      const given = { up: false };
      const leave = onAbort(signal, () => {
        given.up = true;
        if (signal !== undefined) reject(abortReason(signal));
      });
      const settle = (act: () => void): void => {
        leave();
        act();
      };
      this.#lane(message).push({
        message,
        given,
        succeed: () => settle(resolve),
        fail: (error) => settle(() => reject(error)),
      });
    });
  }

  #lane(message: MessageView): BatchLane<PendingAck> {
    const { topic } = message;
    const key = `${message.brokerName} ${topic}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = new BatchLane({
        countMax: ackCountMax,
        sizeMaxBytes: Number.MAX_SAFE_INTEGER,
        callsInFlightMax: acksInFlightMax,
        sizeOf: () => 0,
        wanted: (item) => !item.given.up,
        dropped: (item) => item.fail(new ClientError("CLOSED", "given up")),
        run: (items) => this.#ackAll(items, message),
        idle: () => this.#lanes.delete(key),
      });
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  async #ackAll(items: readonly PendingAck[], message: MessageView): Promise<void> {
    const { topic } = message;
    const request = AckMessage.request.encode({
      group: this.#core.resource(this.#consumerGroup),
      topic: this.#core.resource(topic),
      entries: items.map((item) => ({
        messageId: item.message.messageId,
        receiptHandle: item.message.receiptHandle,
        ...(item.message.liteTopic === undefined ? {} : { liteTopic: item.message.liteTopic }),
      })),
    });
    const endMs = Math.max(...items.map((item) => endOf(item.message)));
    try {
      const read = (bytes: Buffer, place: Place): AckAnswer => {
        const decoded = AckMessage.response.decode(bytes);
        const refused = statusError(decoded.status, "AckMessage", place);
        const entries = decoded.entries ?? [];
        // Entries say more than the status over them, which names the first failure or a mixture.
        if (refused?.retryable === true && entries.length === 0) throw refused;
        return { entries, refused, place };
      };
      settleAcks(items, await this.#call({ message, endMs, path: AckMessage.path, request, read }));
    } catch (error) {
      for (const item of items) item.fail(toError(error));
    }
  }

  /**
   * Makes a message visible again after `invisibleMs`; from then on it has the new receipt handle. `isSuspended`: this
   * delivery does not count as an attempt.
   */
  async changeInvisible(
    message: MessageView,
    invisibleMs: number,
    options: { readonly signal?: AbortSignal | undefined; readonly isSuspended?: boolean } = {},
  ): Promise<void> {
    const { signal, isSuspended = false } = options;
    const { topic } = message;
    const request = ChangeInvisibleDuration.request.encode({
      group: this.#core.resource(this.#consumerGroup),
      topic: this.#core.resource(topic),
      receiptHandle: message.receiptHandle,
      invisibleDuration: durationOfMs(invisibleMs),
      messageId: message.messageId,
      ...(message.liteTopic === undefined ? {} : { liteTopic: message.liteTopic }),
      ...(isSuspended ? { suspend: true } : {}),
    });
    const read = (bytes: Buffer, place: Place): string => {
      const answer = ChangeInvisibleDuration.response.decode(bytes);
      const error = statusError(answer.status, "ChangeInvisibleDuration", place);
      if (error !== undefined) throw error;
      return answer.receiptHandle ?? "";
    };
    const { path } = ChangeInvisibleDuration;
    const endMs = endOf(message);
    const handle = await this.#call({ message, endMs, path, request, read, signal });
    if (handle !== "") message.receiptHandle = handle;
    message.invisibleUntilMs = Date.now() + invisibleMs;
  }

  /** Moves a message to the dead-letter topic of the group. */
  async deadLetter(message: MessageView, deliveryAttemptsMax: number): Promise<void> {
    const { topic } = message;
    const request = ForwardMessageToDeadLetterQueue.request.encode({
      group: this.#core.resource(this.#consumerGroup),
      topic: this.#core.resource(topic),
      receiptHandle: message.receiptHandle,
      messageId: message.messageId,
      deliveryAttempt: message.deliveryAttempt ?? 1,
      maxDeliveryAttempts: deliveryAttemptsMax,
      ...(message.liteTopic === undefined ? {} : { liteTopic: message.liteTopic }),
    });
    const read = (bytes: Buffer, place: Place): void => {
      const answer = ForwardMessageToDeadLetterQueue.response.decode(bytes);
      const error = statusError(answer.status, "ForwardMessageToDeadLetterQueue", place);
      if (error !== undefined) throw error;
    };
    const { path } = ForwardMessageToDeadLetterQueue;
    await this.#call({ message, endMs: endOf(message), path, request, read });
  }

  /** Calls the master of the broker that handed the message out; again when there is none, or when it is in trouble. */
  async #call<T>(call: SettleCall<T>): Promise<T> {
    const { message } = call;
    let troubles = 0;
    for (let absences = 0; ; ) {
      const link = this.#core.link(
        this.#core.addressOf(message.topic, message.brokerName, message.endpoints),
      );
      try {
        const answer = await this.#callOnce(link, call);
        link.noteSuccess();
        return answer;
      } catch (error) {
        this.#core.reportFailure(link, error);
        if (!(error instanceof ClientError) || !error.retryable) throw error;
        const isAbsent = absenceCodes.has(error.code);
        const isOver = isAbsent ? Date.now() >= call.endMs : ++troubles >= attemptsMax;
        if (isOver) throw error;
        await this.#pause(isAbsent ? absenceDelay(absences++) : troubleDelay(troubles), call);
      }
    }
  }

  /** Waits before the next try, or until a route or a connection changes. Where to go is looked up again then. */
  async #pause(delayMs: number, call: SettleCall<unknown>): Promise<void> {
    this.#core.routeDoubted();
    using joined = new JoinedSignal([this.#core.closing, call.signal]);
    await this.#core.links.changed.wait(delayMs, joined.signal);
  }

  async #callOnce<T>(link: BrokerLink, call: SettleCall<T>): Promise<T> {
    const { topic } = call.message;
    const place = { address: link.channel.address, topic };
    const bytes = await link.channel.unary(call.path, call.request, {
      timeoutMs: this.#core.options.requestTimeoutMs,
      topic,
      signal: call.signal,
    });
    try {
      return call.read(bytes, place);
    } catch (error) {
      if (error instanceof ClientError) throw error;
      throw new ClientError("PROTOCOL", toError(error).message, { ...place, cause: error });
    }
  }
}

function absenceDelay(absences: number): number {
  return Math.min(absenceDelayMaxMs, absenceDelayMinMs * 2 ** Math.min(absences, 10));
}

function troubleDelay(troubles: number): number {
  return delayAfter(defaultSendPolicy, troubles);
}

/** Until when it makes sense to try to settle a message. */
function endOf(message: MessageView): number {
  const latestMs = Date.now() + absenceMaxMs;
  return Math.min(latestMs, message.invisibleUntilMs ?? latestMs);
}

function settleAcks(items: readonly PendingAck[], answer: AckAnswer): void {
  const { entries, refused, place } = answer;
  const inOrder =
    entries.length === items.length &&
    items.every((item, index) => entries[index]?.receiptHandle === item.message.receiptHandle);
  const byHandle = new Map(
    inOrder ? [] : entries.map((entry) => [entry.receiptHandle ?? "", entry] as const),
  );
  items.forEach((item, index) => {
    const entry = inOrder ? entries[index] : byHandle.get(item.message.receiptHandle);
    const error =
      entry === undefined
        ? (refused ?? noEntry(place))
        : statusError(entry.status, "AckMessage", place);
    if (error === undefined) item.succeed();
    else item.fail(error);
  });
}

function noEntry(place: Place): ClientError {
  return new ClientError("PROTOCOL", "AckMessage: the answer has no entry for the message", place);
}
