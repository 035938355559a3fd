// Settles received messages: acknowledges them, many in one call, or changes when they come again.
import { durationOfMs, messagingService, type rocketmq } from "@cometmq/proto";
import { abortReason, onAbort } from "./abort-listeners.ts";
import { BatchLane } from "./batch-lane.ts";
import type { ClientCore } from "./client-core.ts";
import { ClientError, statusError, toError } from "./client-error.ts";
import type { Endpoints } from "./endpoints.ts";
import type { MessageView } from "./message-view.ts";
import { defaultSendPolicy, delayAfter } from "./retry-policy.ts";
import { sleep } from "./timing.ts";

interface PendingAck {
  readonly message: MessageView;
  readonly given: { up: boolean };
  readonly succeed: () => void;
  readonly fail: (error: Error) => void;
}

interface SettleCall<T> {
  readonly endpoints: Endpoints;
  readonly topic: string;
  readonly path: string;
  readonly request: Uint8Array;
  readonly read: (bytes: Buffer) => T;
  readonly signal?: AbortSignal | undefined;
}

interface AckAnswer {
  readonly entries: readonly rocketmq.v2.IAckMessageResultEntry[];
  readonly refused: ClientError | undefined;
}

interface Place {
  readonly address: string;
  readonly topic: string;
}

const ackCountMax = 128;
const acksInFlightMax = 4;
const attemptsMax = 3;

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
    const { topic, endpoints } = message;
    const key = `${endpoints.facade} ${topic}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = new BatchLane({
        countMax: ackCountMax,
        sizeMaxBytes: Number.MAX_SAFE_INTEGER,
        callsInFlightMax: acksInFlightMax,
        sizeOf: () => 0,
        wanted: (item) => !item.given.up,
        dropped: (item) => item.fail(new ClientError("CLOSED", "given up")),
        run: (items) => this.#ackAll(items, topic, endpoints),
        idle: () => this.#lanes.delete(key),
      });
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  async #ackAll(items: readonly PendingAck[], topic: string, endpoints: Endpoints): Promise<void> {
    const request = AckMessage.request.encode({
      group: this.#core.resource(this.#consumerGroup),
      topic: this.#core.resource(topic),
      entries: items.map(({ message }) => ({
        messageId: message.messageId,
        receiptHandle: message.receiptHandle,
        ...(message.liteTopic === undefined ? {} : { liteTopic: message.liteTopic }),
      })),
    });
    const place = { address: endpoints.facade, topic };
    try {
      const read = (bytes: Buffer): AckAnswer => {
        const decoded = AckMessage.response.decode(bytes);
        const refused = statusError(decoded.status, "AckMessage", place);
        const entries = decoded.entries ?? [];
        // Entries say more than the status over them, which names the first failure or a mixture.
        if (refused?.retryable === true && entries.length === 0) throw refused;
        return { entries, refused };
      };
      settleAcks(
        items,
        await this.#call({ endpoints, topic, path: AckMessage.path, request, read }),
        place,
      );
    } catch (error) {
      for (const item of items) item.fail(toError(error));
    }
  }

  /** Makes a message visible again after `invisibleMs`; from then on it has the new receipt handle. */
  async changeInvisible(
    message: MessageView,
    invisibleMs: number,
    signal?: AbortSignal,
  ): Promise<void> {
    const { topic, endpoints } = message;
    const request = ChangeInvisibleDuration.request.encode({
      group: this.#core.resource(this.#consumerGroup),
      topic: this.#core.resource(topic),
      receiptHandle: message.receiptHandle,
      invisibleDuration: durationOfMs(invisibleMs),
      messageId: message.messageId,
      ...(message.liteTopic === undefined ? {} : { liteTopic: message.liteTopic }),
    });
    const place = { address: endpoints.facade, topic };
    const read = (bytes: Buffer): string => {
      const answer = ChangeInvisibleDuration.response.decode(bytes);
      const error = statusError(answer.status, "ChangeInvisibleDuration", place);
      if (error !== undefined) throw error;
      return answer.receiptHandle ?? "";
    };
    const { path } = ChangeInvisibleDuration;
    const handle = await this.#call({ endpoints, topic, path, request, read, signal });
    if (handle !== "") message.receiptHandle = handle;
  }

  /** Moves a message to the dead-letter topic of the group. */
  async deadLetter(message: MessageView, deliveryAttemptsMax: number): Promise<void> {
    const { topic, endpoints } = message;
    const request = ForwardMessageToDeadLetterQueue.request.encode({
      group: this.#core.resource(this.#consumerGroup),
      topic: this.#core.resource(topic),
      receiptHandle: message.receiptHandle,
      messageId: message.messageId,
      deliveryAttempt: message.deliveryAttempt ?? 1,
      maxDeliveryAttempts: deliveryAttemptsMax,
    });
    const place = { address: endpoints.facade, topic };
    const read = (bytes: Buffer): void => {
      const answer = ForwardMessageToDeadLetterQueue.response.decode(bytes);
      const error = statusError(answer.status, "ForwardMessageToDeadLetterQueue", place);
      if (error !== undefined) throw error;
    };
    const { path } = ForwardMessageToDeadLetterQueue;
    await this.#call({ endpoints, topic, path, request, read });
  }

  /** Calls the broker that handed the message out, a few times when it cannot be reached. */
  async #call<T>(call: SettleCall<T>): Promise<T> {
    const { closing } = this.#core;
    for (let attempt = 1; ; attempt++) {
      const link = this.#core.link(call.endpoints);
      try {
        const bytes = await link.channel.unary(call.path, call.request, {
          timeoutMs: this.#core.options.requestTimeoutMs,
          waitForReady: attempt > 1,
          topic: call.topic,
          signal: call.signal,
        });
        return readAnswer(call, bytes);
      } catch (error) {
        link.reportFailure(error);
        const again = error instanceof ClientError && error.retryable && attempt < attemptsMax;
        if (!again) throw error;
        await sleep(delayAfter(defaultSendPolicy, attempt), closing);
      }
    }
  }
}

function readAnswer<T>(call: SettleCall<T>, bytes: Buffer): T {
  try {
    return call.read(bytes);
  } catch (error) {
    if (error instanceof ClientError) throw error;
    throw new ClientError("PROTOCOL", toError(error).message, {
      address: call.endpoints.facade,
      topic: call.topic,
      cause: error,
    });
  }
}

function settleAcks(items: readonly PendingAck[], answer: AckAnswer, place: Place): void {
  const { entries, refused } = answer;
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
