// Producer: takes messages one by one, bounds what it holds, and sends what is queued together.
import { abortReason } from "./abort-listeners.ts";
import { BatchLane } from "./batch-lane.ts";
import { ClientCore } from "./client-core.ts";
import { ClientError, toError } from "./client-error.ts";
import { type MessageOptions, MessageType, prepareMessage } from "./message.ts";
import { type Abortable, type ClientOptions, checkOptions, numberOption } from "./options.ts";
import { QueuedSend } from "./queued-send.ts";
import { recallMessage } from "./recall.ts";
import { SendBuffer } from "./send-buffer.ts";
import type { SendReceipt } from "./send-receipt.ts";
import { Sender } from "./sender.ts";
import { Bell } from "./timing.ts";
import { Transaction, type TransactionChecker } from "./transaction.ts";
import { TransactionEnds } from "./transaction-ends.ts";
import { type OutgoingMessage, orderOf, requestSizeOf } from "./wire/send-request.ts";

/** Options of a producer. */
export interface ProducerOptions extends ClientOptions {
  /** One topic or several, as `topics`. */
  readonly topic?: string | readonly string[] | undefined;
  /**
   * Calls made for one message at most, from 1; 3 when left out. Calls that nobody was there to take do not count:
   * no connection, or a broker that is no master now. They go on until `sendTimeout`.
   */
  readonly maxAttempts?: number | undefined;
  /** False sends each message in a call of its own; true when left out. */
  readonly batching?: boolean | undefined;
  /**
   * Milliseconds until a message in the buffer is settled, whatever happens; when left out 15000, or
   * `requestTimeout` × `maxAttempts` when that is more. Keep it well above what a failover takes.
   */
  readonly sendTimeout?: number | undefined;
  /** Messages held at most; 16384 when left out. */
  readonly maxBufferCount?: number | undefined;
  /** Bytes held at most; 64 MiB when left out. */
  readonly maxBufferSizeInBytes?: number | undefined;
  /** What `send` does when the buffer is full: "wait" (default) or "reject" with BUFFER_FULL. */
  readonly whenBufferFull?: "wait" | "reject" | undefined;
  /** Milliseconds `send` waits for room in the buffer; 60000 when left out. */
  readonly bufferTimeout?: number | undefined;
  /** Tells how transactions ended that nobody has settled; needed for `beginTransaction`. Name their topics in `topics`. */
  readonly checker?: TransactionChecker | undefined;
}

/** How one message is sent. */
export interface SendOptions extends Abortable {
  /** The transaction that the message belongs to: consumers get it when that is committed. */
  readonly transaction?: Transaction | undefined;
}

/** The default of `sendTimeout` at least: several times what the election of a master takes. */
const sendTimeoutMinMs = 15_000;
const batchCountMax = 512;
const batchSizeMaxBytes = 1024 * 1024;
const batchesInFlightMax = 4;
const singlesInFlightMax = 256;

/** Sends messages. `startup` first, `shutdown` or `await using` last. */
export class Producer {
  readonly #core: ClientCore;
  readonly #sender: Sender;
  readonly #ends: TransactionEnds;
  readonly #checker: TransactionChecker | undefined;
  readonly #buffer: SendBuffer;
  readonly #lanes = new Map<string, BatchLane<QueuedSend>>();
  readonly #topics: Set<string>;
  readonly #settled = new Bell();
  readonly #batching: boolean;
  readonly #sendTimeoutMs: number;

  /** Throws ClientError BAD_OPTION when an option is missing or out of range. */
  constructor(options: ProducerOptions) {
    const checked = checkOptions(options);
    const attemptsMax = numberOption("maxAttempts", options.maxAttempts, {
      min: 1,
      max: 100,
      otherwise: 3,
    });
    this.#batching = options.batching !== false;
    this.#sendTimeoutMs = numberOption("sendTimeout", options.sendTimeout, {
      min: 100,
      max: 86_400_000,
      otherwise: Math.max(sendTimeoutMinMs, checked.requestTimeoutMs * attemptsMax),
    });
    this.#buffer = new SendBuffer({
      countMax: positiveOption("maxBufferCount", options.maxBufferCount, 16_384),
      sizeMaxBytes: positiveOption("maxBufferSizeInBytes", options.maxBufferSizeInBytes, 2 ** 26),
      whenFull: options.whenBufferFull ?? "wait",
      waitMaxMs: positiveOption("bufferTimeout", options.bufferTimeout, 60_000),
    });
    this.#topics = new Set([...(options.topics ?? []), ...[options.topic ?? []].flat()]);
    this.#core = new ClientCore(checked, {
      kind: "producer",
      topics: this.#topics,
      consumerGroup: "",
      subscriptions: new Map(),
      longPollingMs: 0,
      attemptsMax,
      onOrphan: (link, command) => void this.#ends.recover(link, command),
    });
    this.#checker = options.checker;
    this.#ends = new TransactionEnds({
      core: this.#core,
      checker: this.#checker,
      timeoutMs: this.#sendTimeoutMs,
    });
    const onTopic = (topic: string): void => this.#onTopic(topic);
    this.#sender = new Sender({ core: this.#core, attemptsMax, onTopic });
  }

  get clientId(): string {
    return this.#core.clientId;
  }

  isRunning(): boolean {
    return this.#core.running;
  }

  /** Connects and looks up the given topics. Rejects with a ClientError; the producer is then closed. */
  startup(options: Abortable = {}): Promise<void> {
    return this.#core.startup(options.signal);
  }

  /**
   * Sends a message; resolves when the broker has stored it. Waits while the buffer is full. Settles by
   * `sendTimeout` after it has found room. An aborted signal rejects at once; the message may still be stored.
   */
  send(message: MessageOptions, options: SendOptions | Transaction = {}): Promise<SendReceipt> {
    const { transaction, signal } =
      options instanceof Transaction ? { transaction: options, signal: undefined } : options;
    if (transaction === undefined) return this.#send(message, transaction, signal);
    return this.#sendWithin(transaction, message, signal);
  }

  /**
   * Begins a transaction: send one message within it, then `commit` or `rollback`. Throws BAD_OPTION without a `checker`.
   */
  beginTransaction(): Transaction {
    if (this.#checker === undefined) {
      throw new ClientError(
        "BAD_OPTION",
        "transactions need a checker, which tells how those ended that nobody has settled",
      );
    }
    return new Transaction(this, (receipt, resolution) => this.#ends.end(receipt, resolution));
  }

  async #sendWithin(
    transaction: Transaction,
    message: MessageOptions,
    signal: AbortSignal | undefined,
  ): Promise<SendReceipt> {
    transaction.take(this);
    let receipt: SendReceipt | undefined;
    try {
      receipt = await this.#send(message, transaction, signal);
      return receipt;
    } finally {
      transaction.sent(receipt);
    }
  }

  #send(
    message: MessageOptions,
    transaction: Transaction | undefined,
    signal: AbortSignal | undefined,
  ): Promise<SendReceipt> {
    try {
      this.#core.assertRunning();
      const outgoing = prepareMessage(message, {
        bodySizeMaxBytes: this.#core.settings.bodySizeMaxBytes,
        nowMs: Date.now(),
        isHalf: transaction !== undefined,
      });
      if (signal?.aborted === true) return Promise.reject(abortReason(signal));
      const size = requestSizeOf(outgoing);
      if (this.#buffer.tryEnter(size)) return this.#enqueue(outgoing, size, signal);
      return this.#buffer.enter(size, signal).then(() => this.#enqueue(outgoing, size, signal));
    } catch (error) {
      return Promise.reject(toError(error));
    }
  }

  /**
   * Calls a delayed message back that is not due yet, by the `recallHandle` of its receipt; resolves with its message id
   * when it will surely not be delivered. Rejects with MESSAGE_NOT_FOUND when it was delivered or called back before,
   * INVALID_RECEIPT_HANDLE for a handle that is not one of this topic. After a TIMEOUT it may have been called back.
   */
  async recall(topic: string, recallHandle: string, options: Abortable = {}): Promise<string> {
    this.#core.assertRunning();
    return await recallMessage(this.#core, { topic, recallHandle, ...options });
  }

  #enqueue(
    message: OutgoingMessage,
    size: number,
    signal: AbortSignal | undefined,
  ): Promise<SendReceipt> {
    return new Promise((resolve, reject) => {
      const deadlineMs = Date.now() + this.#sendTimeoutMs;
      const item = new QueuedSend({ message, size, deadlineMs }, { resolve, reject }, this.#left);
      if (signal !== undefined) item.giveUpWhen(signal);
      this.#lane(message).push(item);
    });
  }

  readonly #left = (size: number): void => {
    this.#buffer.leave(size);
    if (this.#buffer.count === 0) this.#settled.ring();
  };

  /** Messages of one lane may share a request; those of a message group or lite topic keep their order in it. */
  #lane(message: OutgoingMessage): BatchLane<QueuedSend> {
    const { topic, messageType } = message;
    const order = orderOf(message);
    const key =
      messageType === MessageType.NORMAL ? topic : `${topic} ${messageType} ${order ?? ""}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      const ordered = order !== undefined;
      const together = this.#batching && (ordered || messageType === MessageType.NORMAL);
      lane = new BatchLane({
        countMax: together ? batchCountMax : 1,
        sizeMaxBytes: Math.min(batchSizeMaxBytes, this.#core.settings.bodySizeMaxBytes),
        callsInFlightMax: ordered ? 1 : together ? batchesInFlightMax : singlesInFlightMax,
        sizeOf: (item) => item.size,
        wanted: (item) => !item.givenUp,
        dropped: (item) => item.fail(new ClientError("CLOSED", "given up")),
        run: (items) => this.#sender.deliver(items),
        idle: () => this.#lanes.delete(key),
      });
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #onTopic(topic: string): void {
    if (this.#topics.has(topic)) return;
    this.#topics.add(topic);
    this.#core.links.sendSettings();
  }

  /** Sends what is in the buffer, then closes. Later sends fail with CLOSED. Takes at most `sendTimeout` and a second. */
  shutdown(): Promise<void> {
    return this.#core.close(async () => {
      const endMs = Date.now() + this.#sendTimeoutMs;
      while (this.#buffer.count > 0 && Date.now() < endMs) {
        await this.#settled.wait(endMs - Date.now());
      }
      this.#buffer.close(new ClientError("CLOSED", "the producer was shut down"));
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}

function positiveOption(name: string, value: number | undefined, otherwise: number): number {
  return numberOption(name, value, { min: 1, max: Number.MAX_SAFE_INTEGER, otherwise });
}
