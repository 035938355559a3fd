// Delayed messages of a broker that is master: how many there may be, when they go, and how one is called back.
// docs/messages/delay.md.
import { readMessageProperties } from "@cometmq/proto";
import { type Clock, type Logger, MqError } from "../../base/index.ts";
import { HeldHandles, type HeldMessages, type QueuesNow } from "../held/index.ts";
import type { HeldKey, Metadata } from "../metadata/index.ts";
import { newCounters, type TimerCounters } from "./counters.ts";
import { DueMessages } from "./due-messages.ts";

/** What timers stand on. */
export interface TimersOptions extends QueuesNow {
  readonly held: HeldMessages;
  readonly metadata: Pick<Metadata, "topic" | "macKey">;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Stands in every handle, 1 to 255 UTF-8 bytes. */
  readonly brokerName: string;
  /** Delayed messages held at once. Asked each time: it may change. */
  readonly pendingMax: () => number;
  /** Hears how late a message went, milliseconds. */
  readonly released?: (latenessMs: number) => void;
  /** Messages in memory; `limits.heldWindowMax` by default. */
  readonly windowMax?: number;
}

/** The delayed messages of one reign. */
export class Timers {
  readonly counters: TimerCounters = newCounters();
  readonly #options: TimersOptions;
  readonly #handles: HeldHandles;
  readonly #due: DueMessages;
  /** Admitted, and not answered yet. */
  #comingCount = 0;

  private constructor(options: TimersOptions) {
    this.#options = options;
    const { metadata, brokerName } = options;
    this.#handles = new HeldHandles(metadata.macKey, brokerName);
    const { counters } = this;
    const released = options.released ?? ((): void => {});
    this.#due = DueMessages.start({ ...options, counters, released });
  }

  /** Delivers what is due, from now on. */
  static open(options: TimersOptions): Timers {
    return new Timers(options);
  }

  /** The time that decides whether a message is due, whole milliseconds since 1970. */
  nowMs(): number {
    return this.#due.nowMs();
  }

  /** Delayed messages held now, by topic. */
  pending(): ReadonlyMap<string, number> {
    return this.#options.held.state.counts("timer");
  }

  /** Delayed messages held now. */
  get pendingCount(): number {
    return this.#options.held.state.count("timer");
  }

  /** Delayed messages held in memory. */
  get windowCount(): number {
    return this.#due.windowCount;
  }

  /** Of those, the ones that are there with their bodies. */
  get readCount(): number {
    return this.#due.readCount;
  }

  /** Makes room for `count` messages that are about to be appended; `settled` follows. Throws TOO_MANY_REQUESTS. */
  admit(count: number): void {
    const max = this.#options.pendingMax();
    const held = this.pendingCount + this.#comingCount;
    if (held + count > max) {
      this.counters.refused += count;
      throw new MqError(
        "TOO_MANY_REQUESTS",
        `this broker holds ${held} delayed messages, at most ${max} are allowed (timerPendingMax)`,
      );
    }
    this.#comingCount += count;
  }

  /** Messages that were admitted have been stored, or not. */
  settled(count: number, outcome: "stored" | "refused"): void {
    this.#comingCount -= count;
    if (outcome === "stored") this.counters.accepted += count;
  }

  /** The right to call a message back that was appended at `position`. */
  handleOf(topic: string, dueMs: number, position: number): string {
    return this.#handles.encode(topic, { kind: "timer", dueMs, id: position });
  }

  /**
   * Calls a message back; gives its message id when that is as durable as a send. From then on it is never delivered.
   * Throws INVALID_RECEIPT_HANDLE for a handle that was not given for a message of this topic, TOPIC_NOT_FOUND,
   * MESSAGE_NOT_FOUND when it has been delivered or called back, HA_NOT_AVAILABLE, and what the store throws.
   */
  async recall(topic: string, handle: string): Promise<string> {
    const { held, metadata } = this.#options;
    if (metadata.topic(topic) === undefined) {
      throw new MqError("TOPIC_NOT_FOUND", `topic ${JSON.stringify(topic)} does not exist`);
    }
    const key = this.#handles.decode(handle, { topic, kind: "timer" });
    if (key === undefined) throw foreignHandle();
    const entry = await held.take(key);
    if (entry === undefined) throw this.#gone(topic, key);
    const messageId = await this.#messageIdOf(entry);
    await held.commit([{ ...entry, next: undefined }], [], "send").answer;
    this.counters.recalled += 1;
    return messageId;
  }

  /** Delivers nothing more. Resolves when the log has answered for what is under way. */
  close(): Promise<void> {
    return this.#due.close();
  }

  async #messageIdOf(entry: HeldKey & { position: number; size: number }): Promise<string> {
    const { held } = this.#options;
    let messageId: string | undefined;
    try {
      const [record] = await held.store.readCold([entry]);
      messageId = record === undefined ? "" : idIn(record.systemProperties);
      return messageId;
    } finally {
      if (messageId === undefined) held.free(entry);
    }
  }

  /** Why a message that was held once is not held now. */
  #gone(topic: string, { dueMs, id }: HeldKey): MqError {
    if (this.#options.held.state.isDead({ topic, id })) {
      return new MqError("MESSAGE_NOT_FOUND", "the message went when its topic was deleted");
    }
    const isEarly = this.nowMs() < dueMs;
    return new MqError(
      "MESSAGE_NOT_FOUND",
      isEarly
        ? "the message has been recalled already"
        : "too late to recall the message: it was due, and has been delivered unless it was recalled before",
    );
  }
}

function idIn(systemProperties: Uint8Array): string {
  return readMessageProperties(systemProperties).messageId;
}

function foreignHandle(): MqError {
  return new MqError(
    "INVALID_RECEIPT_HANDLE",
    "the recall handle is malformed, altered, or of another topic; use the one of the send receipt",
  );
}
