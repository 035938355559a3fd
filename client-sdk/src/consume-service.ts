// Runs a listener over received messages: bounded concurrency, order within a message group when the
// group is served in order, and what becomes of each message afterwards.
import type { ClientCore } from "./client-core.ts";
import { toError } from "./client-error.ts";
import { ConsumeResult, ConsumeResultSuspend } from "./consume-result.ts";
import type { MessageView } from "./message-view.ts";
import { delayAfter } from "./retry-policy.ts";
import type { Settler } from "./settler.ts";
import { Bell, sleep } from "./timing.ts";

/** What an application does with a message. */
export interface MessageListener {
  /** SUCCESS acknowledges; FAILURE, an exception or a rejection lets the message come again later. */
  consume(messageView: MessageView): ConsumeResult | Promise<ConsumeResult>;
}

interface Cached {
  readonly message: MessageView;
  readonly size: number;
}

/** Holds received messages until they are settled. */
export class ConsumeService {
  /** Rings when a message was settled. */
  readonly settled: Bell = new Bell();
  readonly #core: ClientCore;
  readonly #settler: Settler;
  readonly #listener: MessageListener;
  readonly #concurrencyMax: number;
  readonly #stopping = new AbortController();
  readonly #queue: Cached[] = [];
  /** Messages that wait behind one of their message group, by group. */
  readonly #behind = new Map<string, Cached[]>();
  #active = 0;
  #count = 0;
  #size = 0;

  constructor(options: {
    readonly core: ClientCore;
    readonly settler: Settler;
    readonly listener: MessageListener;
    readonly concurrencyMax: number;
  }) {
    this.#core = options.core;
    this.#settler = options.settler;
    this.#listener = options.listener;
    this.#concurrencyMax = options.concurrencyMax;
  }

  /** Messages received and not settled. */
  get count(): number {
    return this.#count;
  }

  /** Their bytes. */
  get size(): number {
    return this.#size;
  }

  /** Takes a message over. */
  add(message: MessageView): void {
    const cached = { message, size: message.bodySize };
    this.#count++;
    this.#size += cached.size;
    if (this.#stopping.signal.aborted) {
      void this.#giveBack(cached);
      return;
    }
    const group = this.#orderKey(message);
    const behind = group === undefined ? undefined : this.#behind.get(group);
    if (behind !== undefined) {
      behind.push(cached);
      return;
    }
    if (group !== undefined) this.#behind.set(group, []);
    this.#queue.push(cached);
    this.#runNext();
  }

  /**
   * Begins with no further message, and tries none again: those that were not begun are given back, to come again at once.
   * What `add` takes from now on is given back, too.
   */
  stop(): void {
    this.#stopping.abort();
    const waiting = [...this.#queue.splice(0), ...[...this.#behind.values()].flat()];
    this.#behind.clear();
    for (const cached of waiting) void this.#giveBack(cached);
  }

  /** Where that fails they come again when the client has said goodbye, or later by themselves. */
  async #giveBack({ message, size }: Cached): Promise<void> {
    // Giving back is an attempt for the broker. The last one is left to the goodbye, which is none.
    const { maxAttempts } = this.#core.settings.consumePolicy;
    if ((message.deliveryAttempt ?? 1) < maxAttempts) {
      const options = { signal: this.#core.closing };
      await this.#settler.changeInvisible(message, 0, options).catch(toError);
    }
    this.#count--;
    this.#size -= size;
    this.settled.ring();
  }

  #orderKey(message: MessageView): string | undefined {
    const { topic, messageGroup, liteTopic } = message;
    // Lite topics are ordered in any group.
    if (!this.#core.settings.fifo && liteTopic === undefined) return undefined;
    return `${topic} ${messageGroup ?? liteTopic ?? ""}`;
  }

  #runNext(): void {
    while (this.#active < this.#concurrencyMax) {
      const cached = this.#queue.shift();
      if (cached === undefined) return;
      this.#active++;
      void this.#run(cached);
    }
  }

  async #run(cached: Cached): Promise<void> {
    const { message } = cached;
    const group = this.#orderKey(message);
    try {
      if (group === undefined) {
        const result = await this.#listen(message);
        // The next message need not wait until this one's acknowledgement is through.
        this.#free();
        await this.#settle(message, result);
      } else {
        await this.#runInOrder(message);
        this.#free();
      }
    } catch (error) {
      if (group !== undefined) this.#free();
      this.#core.options.logger.warn(
        "a message was not settled and comes again",
        message.messageId,
        toError(error).message,
      );
    }
    this.#count--;
    this.#size -= cached.size;
    this.#releaseGroup(group);
    this.settled.ring();
  }

  #free(): void {
    this.#active--;
    this.#runNext();
  }

  #releaseGroup(group: string | undefined): void {
    if (group === undefined) return;
    const next = this.#behind.get(group)?.shift();
    if (next === undefined) {
      this.#behind.delete(group);
      return;
    }
    this.#queue.push(next);
    this.#runNext();
  }

  /** What the listener says; never rejects. A corrupted message is not shown to it. */
  async #listen(message: MessageView): Promise<ConsumeResult> {
    if (message.corrupted) {
      this.#core.options.logger.error("corrupted message", message.topic, message.messageId);
      return ConsumeResult.FAILURE;
    }
    try {
      return await this.#listener.consume(message);
    } catch (error) {
      this.#core.options.logger.warn("the listener failed", message.messageId, toError(error));
      return ConsumeResult.FAILURE;
    }
  }

  async #settle(message: MessageView, result: ConsumeResult): Promise<void> {
    if (result === ConsumeResult.SUCCESS) return this.#settler.ack(message);
    if (result instanceof ConsumeResultSuspend) {
      return this.#settler.changeInvisible(message, result.suspendTimeMs, { isSuspended: true });
    }
    const { consumePolicy } = this.#core.settings;
    const delayMs = delayAfter(consumePolicy, message.deliveryAttempt ?? 1);
    await this.#settler.changeInvisible(message, delayMs);
  }

  /** What is here behind a suspended message comes after it again. */
  async #suspendBehind(message: MessageView, result: ConsumeResultSuspend): Promise<void> {
    const behind = this.#behind.get(this.#orderKey(message) ?? "")?.splice(0) ?? [];
    await Promise.all(
      behind.map(async (cached) => {
        try {
          await this.#settle(cached.message, result);
        } finally {
          this.#count--;
          this.#size -= cached.size;
        }
      }),
    );
  }

  /** In order, a failed message is tried again here before any later one of its group; then it goes to the dead letters. */
  async #runInOrder(message: MessageView): Promise<void> {
    const { consumePolicy } = this.#core.settings;
    const { signal: stopping } = this.#stopping;
    for (;;) {
      const result = await this.#listen(message);
      if (result === ConsumeResult.SUCCESS) return this.#settler.ack(message);
      if (result instanceof ConsumeResultSuspend) {
        await Promise.all([this.#settle(message, result), this.#suspendBehind(message, result)]);
        return;
      }
      const attempt = message.deliveryAttempt ?? 1;
      if (message.corrupted || attempt >= consumePolicy.maxAttempts) {
        return this.#settler.deadLetter(message, consumePolicy.maxAttempts);
      }
      await sleep(delayAfter(consumePolicy, attempt), stopping).catch(toError);
      if (stopping.aborted) return this.#settle(message, result);
      message.deliveryAttempt = attempt + 1;
    }
  }
}
