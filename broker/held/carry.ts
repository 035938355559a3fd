// Before the log loses its head, what is held there is appended once more: so a message may be held for years while the
// log keeps hours.
import { limits, MqError } from "../../base/index.ts";
import type { HeldChange, HeldEntry } from "../metadata/index.ts";
import { type RecordDraft, RecordType, type RecordView, recordSize } from "../store/index.ts";
import type { HeldMessages } from "./held-messages.ts";

/**
 * Moves all held messages that lie before `below` to the end of the log, in bounded groups, one after the other; none
 * lies there when it resolves. Rejects with what the store says; what has been moved by then stays moved.
 */
export async function carryHeld(held: HeldMessages, below: number): Promise<void> {
  while (held.state.oldestPosition < below) await new Carrying(held, below).run();
}

/** One look at all held messages. */
class Carrying {
  readonly #held: HeldMessages;
  readonly #below: number;
  /** Ids of messages that were changed since the look began: what is known of them is old. */
  readonly #changed = new Set<number>();
  /** Somebody else was changing this one: the next look sees what became of it. */
  #busy: HeldEntry | undefined;
  #isComplete = true;
  #lowest: number;

  constructor(held: HeldMessages, below: number) {
    this.#held = held;
    this.#below = below;
    // What comes after the look has begun lies behind it.
    this.#lowest = held.store.dispatched;
  }

  async run(): Promise<void> {
    const { state } = this.#held;
    const stopListening = state.onChange(({ before }) => {
      if (before !== undefined) this.#changed.add(before.id);
    });
    try {
      await this.#look();
    } finally {
      stopListening();
    }
    if (this.#isComplete) state.noteOldest(this.#lowest);
    if (this.#busy !== undefined) await this.#held.whenFree(this.#busy);
  }

  async #look(): Promise<void> {
    let batch: HeldEntry[] = [];
    let sizeBytes = 0;
    for await (const entries of this.#held.state.scan()) {
      for (const entry of entries) {
        if (entry.position >= this.#below) {
          this.#lowest = Math.min(this.#lowest, entry.position);
          continue;
        }
        batch.push(entry);
        sizeBytes += entry.size;
        const isFull = batch.length >= limits.heldGroupCountMax;
        if (!isFull && sizeBytes < limits.heldGroupSizeBytes) continue;
        await this.#carry(batch);
        batch = [];
        sizeBytes = 0;
      }
    }
    if (batch.length > 0) await this.#carry(batch);
  }

  async #carry(batch: readonly HeldEntry[]): Promise<void> {
    const claimed = batch.filter((entry) => this.#claim(entry));
    if (claimed.length === 0) return;
    let records: readonly (RecordView | undefined)[];
    try {
      records = await this.#held.store.readCold(claimed);
    } catch (error) {
      for (const entry of claimed) this.#held.free(entry);
      throw unreadable(error);
    }
    const { changes, copies } = this.#moved(claimed, records);
    const failure = await this.#held.commit(changes, copies).fate;
    if (failure !== undefined) throw failure;
  }

  #claim(entry: HeldEntry): boolean {
    if (!this.#changed.has(entry.id) && this.#held.claim(entry)) return true;
    this.#isComplete = false;
    if (!this.#changed.has(entry.id)) this.#busy = entry;
    return false;
  }

  /** Copies, and where they will lie: they are appended before anything else is. */
  #moved(
    entries: readonly HeldEntry[],
    records: readonly (RecordView | undefined)[],
  ): { readonly changes: HeldChange[]; readonly copies: RecordDraft[] } {
    const changes: HeldChange[] = [];
    const copies: RecordDraft[] = [];
    let position = this.#held.store.end;
    for (const [index, entry] of entries.entries()) {
      const record = records[index];
      if (record === undefined) {
        this.#held.noteLost(entry);
        changes.push({ ...entry, next: undefined });
        continue;
      }
      const copy = copyOf(entry, record);
      const size = recordSize(copy, Buffer.byteLength(copy.topic));
      const { dueMs, count } = entry;
      copies.push(copy);
      changes.push({ ...entry, next: { dueMs, position, size, count } });
      position += size;
    }
    return { changes, copies };
  }
}

function copyOf({ topic, dueMs }: HeldEntry, record: RecordView): RecordDraft {
  return {
    type: RecordType.carriedMessage,
    flags: record.flags,
    topic,
    queueId: record.queueId,
    systemProperties: record.systemProperties,
    userProperties: record.userProperties,
    body: record.body,
    tagHash: record.tagHash,
    messageGroupHash: record.messageGroupHash,
    dueMs,
  };
}

/** Rather a log that keeps too much than a message that is lost. */
function unreadable(cause: unknown): MqError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const facts = cause instanceof MqError ? cause.facts : {};
  return new MqError("CORRUPT", `a held message cannot be read, its segment is kept: ${reason}`, {
    cause,
    facts,
  });
}
