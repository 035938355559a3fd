// Reads delayed messages a moment before they are due, so that they wait for nobody's disk when their time comes. What
// it holds is bounded, and copied out of the log: a view would keep much more of it in memory.
import { background, type Logger, limits, MqError } from "../../base/index.ts";
import { type HeldMessages, type HeldWindow, Soonest } from "../held/index.ts";
import type { HeldEntry } from "../metadata/index.ts";
import { type RecordDraft, RecordType, type RecordView } from "../store/index.ts";
import type { TimerCounters } from "./counters.ts";

/** A message in memory, ready to go when its time has come. */
export interface ReadyMessage {
  readonly id: number;
  readonly entry: HeldEntry;
  /** What consumers will see; undefined when its record is not in the log any more. */
  readonly copy: RecordDraft | undefined;
  wakeAtMs: number;
}

/** What reading stands on. */
export interface DueReaderOptions {
  readonly held: HeldMessages;
  readonly window: HeldWindow;
  readonly logger: Logger;
  readonly counters: TimerCounters;
  /** The time that decides whether a message is due. */
  readonly nowMs: () => number;
  /** Called when messages have been read, or could not be. */
  readonly changed: () => void;
}

/** Messages between the window and their queues. */
export class DueReader {
  readonly #options: DueReaderOptions;
  readonly #ready = new Soonest<ReadyMessage>();
  /** Of those that are read or being read, until `done`. */
  #count = 0;
  #sizeBytes = 0;
  #isReading = false;
  #isClosed = false;

  constructor(options: DueReaderOptions) {
    this.#options = options;
  }

  /** Messages that are read or being read. */
  get count(): number {
    return this.#count;
  }

  /**
   * When something is to be read next, or taken if that is of interest, milliseconds; undefined when nothing is known to
   * come.
   */
  nextAtMs(isTaking: boolean): number | undefined {
    const readyAtMs = isTaking ? this.#ready.peek()?.wakeAtMs : undefined;
    const aheadMs = this.#mayReadAheadMs;
    const windowAtMs = aheadMs === undefined ? undefined : this.#options.window.nextAtMs;
    if (windowAtMs === undefined || aheadMs === undefined) return readyAtMs;
    return Math.min(windowAtMs - aheadMs, readyAtMs ?? Number.POSITIVE_INFINITY);
  }

  /** Reads what is due soon, as far as there is room; one read at a time. */
  readAhead(nowMs: number): void {
    const aheadMs = this.#mayReadAheadMs;
    if (aheadMs === undefined) return;
    const due = this.#options.window.take(nowMs + aheadMs, {
      count: limits.heldGroupCountMax,
      sizeBytes: limits.heldGroupSizeBytes,
    });
    if (due.length === 0) return;
    this.#isReading = true;
    for (const entry of due) this.#enter(entry);
    background(this.#run(due));
  }

  /** Takes messages whose time has come, the soonest first; `putBack` or `done` follows for each. */
  take(
    nowMs: number,
    most: { readonly count: number; readonly sizeBytes: number },
  ): ReadyMessage[] {
    const { window, held } = this.#options;
    const taken: ReadyMessage[] = [];
    let sizeBytes = 0;
    while (taken.length < most.count) {
      const next = this.#ready.peek();
      if (next === undefined || next.wakeAtMs > nowMs) break;
      // Recalled, carried elsewhere, or gone with its topic since it was read.
      const isGone = !window.holds(next.entry) || held.state.isDead(next.entry);
      sizeBytes += isGone ? 0 : next.entry.size;
      if (taken.length > 0 && sizeBytes > most.sizeBytes) break;
      this.#ready.pop();
      if (isGone) this.done(next);
      else taken.push(next);
    }
    return taken;
  }

  /** Keeps a message that was taken, to be given again at `wakeAtMs`. */
  putBack(message: ReadyMessage, wakeAtMs: number): void {
    message.wakeAtMs = wakeAtMs;
    this.#ready.push(message);
  }

  /** Lets a message that was taken go from memory. */
  done({ entry }: Pick<ReadyMessage, "entry">): void {
    this.#options.window.forget(entry);
    this.#count -= 1;
    this.#sizeBytes -= entry.size;
  }

  /** Reads nothing more. */
  close(): void {
    this.#isClosed = true;
  }

  /** How far ahead may be read now. One group that is due finds room when all is taken by what is due soon. */
  get #mayReadAheadMs(): number | undefined {
    if (this.#isReading || this.#isClosed) return undefined;
    const countLeft = limits.timerReadAheadCountMax - this.#count;
    const sizeLeft = limits.timerReadAheadSizeBytes - this.#sizeBytes;
    if (countLeft > 0 && sizeLeft > 0) return limits.timerReadAheadMs;
    const { heldGroupCountMax, heldGroupSizeBytes } = limits;
    return countLeft > -heldGroupCountMax && sizeLeft > -heldGroupSizeBytes ? 0 : undefined;
  }

  #enter(entry: HeldEntry): void {
    this.#count += 1;
    this.#sizeBytes += entry.size;
  }

  async #run(due: readonly HeldEntry[]): Promise<void> {
    const records = await this.#read(due);
    this.#isReading = false;
    if (this.#isClosed) return;
    for (const entry of due) {
      if (!records.has(entry)) continue;
      const record = records.get(entry);
      const copy = record === undefined ? undefined : copyOf(entry, record);
      this.#ready.push({ id: entry.id, entry, copy, wakeAtMs: entry.dueMs });
    }
    this.#options.changed();
  }

  /** The records that can be read. Two halves at once, in the order of the log: what lies together is read together. */
  async #read(
    entries: readonly HeldEntry[],
  ): Promise<ReadonlyMap<HeldEntry, RecordView | undefined>> {
    const { store } = this.#options.held;
    const places = entries.toSorted((one, other) => one.position - other.position);
    const middle = Math.ceil(places.length / 2);
    const halves = [places.slice(0, middle), places.slice(middle)];
    try {
      const records = (await Promise.all(halves.map((half) => store.readCold(half)))).flat();
      return new Map(places.map((entry, index) => [entry, records[index]]));
    } catch {
      return await this.#readEach(places);
    }
  }

  async #readEach(
    entries: readonly HeldEntry[],
  ): Promise<ReadonlyMap<HeldEntry, RecordView | undefined>> {
    const found = new Map<HeldEntry, RecordView | undefined>();
    for (const entry of entries) {
      try {
        const [record] = await this.#options.held.store.readCold([entry]);
        found.set(entry, record);
      } catch (error) {
        this.#cannotRead(entry, error);
      }
    }
    return found;
  }

  /** A disk may come to its senses; what is damaged is left to the next start, with whatever file lies there then. */
  #cannotRead(entry: HeldEntry, error: unknown): void {
    const { logger, counters, window, nowMs } = this.#options;
    const isDamaged = error instanceof MqError && error.code === "CORRUPT";
    if (this.#isClosed) return;
    counters.unreadable += 1;
    this.#count -= 1;
    this.#sizeBytes -= entry.size;
    if (isDamaged) window.forget(entry);
    else window.putBack(entry, nowMs() + limits.timerReadAheadMs + limits.heldRetryMs);
    logger.error(
      isDamaged
        ? "a delayed message is damaged; it is not delivered before its file is restored and the broker restarted"
        : "a delayed message cannot be read, tried again",
      {
        topic: entry.topic,
        position: entry.position,
        reason: error instanceof Error ? error.message : String(error),
      },
    );
  }
}

/** What consumers will see, in memory of its own. */
function copyOf({ topic }: HeldEntry, record: RecordView): RecordDraft {
  return {
    type: RecordType.deliveredTimer,
    flags: record.flags,
    topic,
    queueId: record.queueId,
    systemProperties: new Uint8Array(record.systemProperties),
    userProperties: new Uint8Array(record.userProperties),
    body: new Uint8Array(record.body),
    tagHash: record.tagHash,
    messageGroupHash: record.messageGroupHash,
  };
}
