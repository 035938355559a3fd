// Messages that are no longer in memory: read from files in large pieces ahead of the cursor, so that a
// backlog drains at nearly the rate of the tail. Nothing is handed out here: a lane takes from what was
// read, synchronously, so that a failed read never leaves a message half handed out.
import { background, type Logger, limits } from "../../base/index.ts";
import type { RecordView } from "../store/index.ts";
import type { DeliveryCounters } from "./counters.ts";
import { type Filter, passesHash } from "./filter.ts";
import { Fifo } from "./order/fifo.ts";
import type { DeliveryEntries, DeliveryQueue, DeliveryStore, RecordPlace } from "./ports.ts";
import type { Alarm, Timeline } from "./timeline.ts";

/** What became of an entry of a chunk: its record, `unread` by the filter of then, or `expired`. */
export type AheadRecord = RecordView | "unread" | "expired";

/** Queue offsets `[from, end)` read in one go. */
export interface AheadChunk {
  readonly from: number;
  readonly end: number;
  readonly hashes: Uint32Array;
  readonly records: readonly AheadRecord[];
  readonly sizeBytes: number;
}

/** What one lane has read ahead. */
export class ReadAhead {
  readonly chunks: AheadChunk[] = [];
  /** A read is under way or waits for its turn. */
  filling = false;
  dropped = false;
  failureCount = 0;
  usedAtMs = 0;

  /** One past the newest offset read; 0 when nothing is. */
  get end(): number {
    return this.chunks.at(-1)?.end ?? 0;
  }
}

/** One read that is wanted. */
export interface FillRequest {
  readonly queue: DeliveryQueue;
  /** First queue offset wanted. */
  readonly from: number;
  readonly filter: Filter;
  /** Called when the lane may look again: something was read, or it may ask once more. */
  readonly done: () => void;
}

/** Reads for all lanes, within one bound of memory. */
export class ColdReader {
  readonly #store: DeliveryStore;
  readonly #timeline: Timeline;
  readonly #logger: Logger;
  readonly #counters: DeliveryCounters;
  readonly #waiting = new Fifo<() => void>();
  readonly #holders = new Set<ReadAhead>();
  readonly #sweep: Alarm = { dueAtMs: 0, heapIndex: -1, ring: () => this.#dropIdle() };
  #usedBytes = 0;
  #runningCount = 0;

  constructor(parts: {
    readonly store: DeliveryStore;
    readonly timeline: Timeline;
    readonly logger: Logger;
    readonly counters: DeliveryCounters;
  }) {
    this.#store = parts.store;
    this.#timeline = parts.timeline;
    this.#logger = parts.logger;
    this.#counters = parts.counters;
  }

  /** Bytes held for lanes now. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Starts a read unless one is under way. */
  fill(ahead: ReadAhead, request: FillRequest): void {
    if (ahead.filling || ahead.dropped) return;
    ahead.filling = true;
    ahead.usedAtMs = this.#timeline.nowMs();
    this.#waiting.push(() => this.#start(ahead, request));
    this.#startWaiting();
    if (this.#waiting.length > 0) this.#sweepLater();
  }

  /** The chunk that holds `offset`, if any; chunks before it are let go. */
  chunkAt(ahead: ReadAhead, offset: number): AheadChunk | undefined {
    let chunk = ahead.chunks[0];
    while (chunk !== undefined && (chunk.end <= offset || chunk.from > offset)) {
      this.#letGo(ahead, 1);
      chunk = ahead.chunks[0];
    }
    return chunk;
  }

  /** Whether the entry and record at `offset` are in memory. */
  isWarm(queue: DeliveryQueue, offset: number): boolean {
    const entries = queue.entries(offset, 1);
    if (entries === undefined || entries.count === 0) return false;
    return this.#store.read(entries.position(0), entries.size(0)) !== undefined;
  }

  /** Lets all go that was read for a lane. */
  clear(ahead: ReadAhead): void {
    this.#letGo(ahead, ahead.chunks.length);
  }

  #start(ahead: ReadAhead, request: FillRequest): void {
    // Counted before the read, so that reads under way stay within the bound too.
    this.#usedBytes += limits.readAheadSizeBytes;
    this.#runningCount++;
    background(this.#run(ahead, request));
  }

  async #run(ahead: ReadAhead, request: FillRequest): Promise<void> {
    try {
      const chunk = ahead.dropped ? undefined : await this.#read(request);
      this.#ended();
      ahead.failureCount = 0;
      this.#take(ahead, chunk);
      ahead.filling = false;
      request.done();
    } catch (error) {
      this.#ended();
      this.#failed(ahead, request, error);
    }
    this.#startWaiting();
  }

  #ended(): void {
    this.#usedBytes -= limits.readAheadSizeBytes;
    this.#runningCount--;
  }

  #take(ahead: ReadAhead, chunk: AheadChunk | undefined): void {
    if (chunk === undefined || ahead.dropped) return;
    // What was read before may have been let go meanwhile; chunks have to follow each other.
    if (ahead.chunks.length > 0 && ahead.end !== chunk.from) this.clear(ahead);
    ahead.chunks.push(chunk);
    this.#usedBytes += chunk.sizeBytes;
    this.#holders.add(ahead);
    this.#sweepLater();
    this.#counters.coldReads++;
  }

  async #read(request: FillRequest): Promise<AheadChunk | undefined> {
    const { queue, filter } = request;
    const countMax = filter.kind === "tags" ? limits.receiveScanCountMax : limits.readAheadCountMax;
    const entries =
      queue.entries(request.from, countMax) ?? (await queue.load(request.from, countMax));
    const count = Math.min(entries.count, queue.endOffset - entries.from);
    if (count <= 0) return undefined;
    const wanted = choose(entries, count, filter);
    const found = await this.#store.readCold(wanted.places);
    const records: AheadRecord[] = [];
    let place = 0;
    for (const isWanted of wanted.flags) {
      records.push(isWanted ? (found[place++] ?? "expired") : "unread");
    }
    return {
      from: entries.from,
      end: entries.from + records.length,
      hashes: wanted.hashes,
      records,
      sizeBytes: wanted.sizeBytes,
    };
  }

  #failed(ahead: ReadAhead, request: FillRequest, error: unknown): void {
    this.#counters.coldReadFailures++;
    ahead.failureCount++;
    // Each doubling is told once, not each second of a broken disk.
    if ((ahead.failureCount & (ahead.failureCount - 1)) === 0) {
      this.#logger.error("stored messages cannot be read; their queue waits and tries again", {
        topic: request.queue.topic,
        queueId: request.queue.queueId,
        queueOffset: request.from,
        failures: ahead.failureCount,
        error: error instanceof Error ? error.message : String(error),
      });
    }
    const ring = (): void => {
      ahead.filling = false;
      request.done();
    };
    const alarm: Alarm = { dueAtMs: 0, heapIndex: -1, ring };
    this.#timeline.set(alarm, this.#timeline.nowMs() + limits.readRetryDelayMs);
  }

  #letGo(ahead: ReadAhead, count: number): void {
    for (const chunk of ahead.chunks.splice(0, count)) this.#usedBytes -= chunk.sizeBytes;
    if (ahead.chunks.length === 0) this.#holders.delete(ahead);
    this.#startWaiting();
  }

  #startWaiting(): void {
    while (
      this.#usedBytes < limits.readAheadTotalBytesMax &&
      this.#runningCount < limits.readAheadAtOnceMax
    ) {
      const start = this.#waiting.shift();
      if (start === undefined) return;
      start();
    }
  }

  #sweepLater(): void {
    if (this.#sweep.heapIndex >= 0) return;
    this.#timeline.set(this.#sweep, this.#timeline.nowMs() + limits.readAheadIdleMs);
  }

  /** Consumers that went away keep neither memory nor others waiting for it. */
  #dropIdle(): void {
    const idleSinceMs = this.#timeline.nowMs() - limits.readAheadIdleMs;
    for (const ahead of this.#holders) {
      if (ahead.usedAtMs <= idleSinceMs && !ahead.filling) this.clear(ahead);
    }
    if (this.#waiting.length > 0 || this.#holders.size > 0) this.#sweepLater();
  }
}

interface Wanted {
  readonly places: RecordPlace[];
  readonly flags: boolean[];
  readonly hashes: Uint32Array;
  readonly sizeBytes: number;
}

/** Which records to read, until the bytes or the count of a read are reached. */
function choose(entries: DeliveryEntries, count: number, filter: Filter): Wanted {
  const places: RecordPlace[] = [];
  const flags: boolean[] = [];
  const hashes = new Uint32Array(count);
  let sizeBytes = 0;
  for (let i = 0; i < count; i++) {
    const hash = entries.tagHash(i);
    hashes[i] = hash;
    const isWanted = passesHash(filter, hash);
    if (isWanted && places.length > 0) {
      // Lanes that go on together then find their messages in the same pieces of the log.
      const spanBytes = entries.position(i) - (places[0]?.position ?? 0);
      const isEnough =
        sizeBytes + entries.size(i) > limits.readAheadSizeBytes ||
        spanBytes > limits.readAheadSpanBytes ||
        places.length >= limits.readAheadCountMax;
      if (isEnough) break;
    }
    flags.push(isWanted);
    if (!isWanted) continue;
    places.push({ position: entries.position(i), size: entries.size(i) });
    sizeBytes += entries.size(i);
  }
  return { places, flags, hashes, sizeBytes };
}
