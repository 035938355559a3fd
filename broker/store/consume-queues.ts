// All consume queues: finds them, bounds their memory, and saves them to files in the background.
import type { Clock } from "../../base/index.ts";
import { ConsumeQueue, type QueueSurroundings } from "./consume-queue.ts";
import type { EntryChunk } from "./queue-entries.ts";
import type { QueueFiles, QueueName } from "./queue-files.ts";

/** Where a queue starts and goes on. */
export interface QueueBounds extends QueueName {
  readonly minOffset: number;
  readonly nextOffset: number;
}

/** What the set works on. */
export interface ConsumeQueuesParts {
  readonly files: QueueFiles;
  readonly clock: Clock;
  /** Memory for entries, bytes; what is not saved yet is kept in addition. */
  readonly memorySizeMax: number;
  readonly storeTime: QueueSurroundings["storeTime"];
}

const saveCountMin = 1_024;
/** Saves at once: file systems make new files slowly, one after the other. */
const savesAtOnce = 2;

/** The consume queues of a store. */
export class ConsumeQueues {
  readonly #parts: ConsumeQueuesParts;
  readonly #surroundings: QueueSurroundings;
  readonly #topics = new Map<string, Map<number, ConsumeQueue>>();
  /** Where the queues of deleted topics would go on. */
  readonly #deleted = new Map<string, Map<number, number>>();
  /** With entries to be saved; the longest waiting first. */
  readonly #dirty = new Set<ConsumeQueue>();
  readonly #chunks = new ChunkLine();
  #memorySize = 0;
  #count = 0;
  #messageCount = 0;
  #saving: Promise<void> = Promise.resolve();

  constructor(parts: ConsumeQueuesParts) {
    this.#parts = parts;
    this.#surroundings = {
      files: parts.files,
      storeTime: parts.storeTime,
      entered: (count) => {
        this.#messageCount += count;
      },
      memory: (sizeBytes, chunk, queue) => {
        this.#memorySize += sizeBytes;
        if (chunk === undefined || queue === undefined) return;
        this.#chunks.push({ chunk, queue });
        this.#evict();
      },
    };
  }

  /** Queues known. */
  get count(): number {
    return this.#count;
  }

  /** Messages that ever entered these queues, visible or not. */
  get messageCount(): number {
    return this.#messageCount;
  }

  /** Memory of entries, bytes. */
  get memorySizeBytes(): number {
    return this.#memorySize;
  }

  /** Whether saving should hurry because entries that are not saved fill the memory. */
  get isPressed(): boolean {
    return this.#memorySize > this.#parts.memorySizeMax && this.#dirty.size > 0;
  }

  /** The queue, when it exists. */
  get(topic: string, queueId: number): ConsumeQueue | undefined {
    return this.#topics.get(topic)?.get(queueId);
  }

  /** The queue, made when missing: at 0, or where it ended when its topic was deleted. */
  ensure(topic: string, queueId: number): ConsumeQueue {
    return this.get(topic, queueId) ?? this.#create(topic, queueId);
  }

  /** A queue from its bounds, or an empty one moved to them; `minOffset` only goes up. */
  restore(bounds: QueueBounds): ConsumeQueue {
    const queue = this.ensure(bounds.topic, bounds.queueId);
    if (queue.nextOffset < bounds.nextOffset && queue.minOffset === queue.nextOffset) {
      queue.continueAt(bounds.nextOffset);
    }
    queue.expire(bounds.minOffset);
    return queue;
  }

  /** A queue whose entries `[minOffset, nextOffset)` are in the files. */
  restoreSaved(bounds: QueueBounds): void {
    this.#put(new ConsumeQueue(bounds, bounds, this.#surroundings));
  }

  /** Every queue. */
  *all(): Generator<ConsumeQueue> {
    for (const queues of this.#topics.values()) yield* queues.values();
  }

  /** The bounds of every queue, those of deleted topics too, with what is confirmed now. */
  *bounds(): Generator<QueueBounds> {
    for (const { topic, queueId, minOffset, endOffset } of this.all()) {
      yield { topic, queueId, minOffset, nextOffset: endOffset };
    }
    for (const [topic, queues] of this.#deleted) {
      for (const [queueId, offset] of queues) {
        yield { topic, queueId, minOffset: offset, nextOffset: offset };
      }
    }
  }

  /** Forgets the queues of a topic, keeps where they ended, and removes their files. */
  async deleteTopic(topic: string): Promise<void> {
    const queues = this.#topics.get(topic);
    if (queues === undefined) return;
    this.#topics.delete(topic);
    // Queues that were not made again since an earlier deletion are still to be known.
    const ends = this.#deleted.get(topic) ?? new Map<number, number>();
    for (const queue of queues.values()) {
      ends.set(queue.queueId, queue.nextOffset);
      this.#dirty.delete(queue);
      queue.drop();
    }
    this.#count -= queues.size;
    this.#deleted.set(topic, ends);
    await this.#inTurn(async () => {
      for (const queue of queues.values()) {
        // Made again meanwhile: its files are those of the new queue.
        if (this.get(topic, queue.queueId) === undefined)
          await this.#parts.files.removeQueue(queue);
      }
    });
  }

  /** Says that a queue has confirmed entries to be saved. */
  markDirty(queue: ConsumeQueue): void {
    if (queue.isDirty) return;
    queue.isDirty = true;
    this.#dirty.add(queue);
  }

  /**
   * Saves queues that hold much, and as many as the memory needs, the longest waiting first; all
   * when `everything`. Gives false when it stopped at `deadlineMs` (monotonic) with some left.
   */
  async save(options: {
    readonly everything: boolean;
    readonly deadlineMs?: number;
  }): Promise<boolean> {
    let isDone = true;
    await this.#inTurn(async () => {
      const line = Array.from(this.#dirty).values();
      const worker = async (): Promise<void> => {
        for (const queue of line) {
          isDone =
            this.#parts.clock.monotonicMs() < (options.deadlineMs ?? Number.POSITIVE_INFINITY);
          if (!isDone) return;
          const isDue = options.everything || queue.unsavedCount >= saveCountMin || this.isPressed;
          if (isDue && this.#dirty.has(queue)) await this.#saveOne(queue);
        }
      };
      await Promise.all(Array.from({ length: savesAtOnce }, worker));
    });
    return isDone;
  }

  /** Makes everything saved durable. */
  sync(): Promise<void> {
    return this.#inTurn(() => this.#parts.files.sync());
  }

  /** Drops what lies below log position `below` from every queue. The files stay, see `removeExpired`. */
  expire(below: number): Promise<void> {
    return this.#inTurn(async () => {
      for (const queue of Array.from(this.all())) {
        queue.expire(await queue.offsetByPosition(below));
      }
    });
  }

  /** Removes files that hold expired entries only. To be called when a checkpoint says where queues start. */
  removeExpired(): Promise<void> {
    return this.#inTurn(async () => {
      for (const topic of Array.from(this.#topics.keys())) {
        await this.#parts.files.removeExpired(
          topic,
          (queueId) => this.get(topic, queueId)?.minOffset,
        );
      }
    });
  }

  async #saveOne(queue: ConsumeQueue): Promise<void> {
    this.#dirty.delete(queue);
    queue.isDirty = false;
    try {
      await queue.save();
      this.#evict();
    } catch (error) {
      this.markDirty(queue);
      throw error;
    }
  }

  #create(topic: string, queueId: number): ConsumeQueue {
    const offset = this.#deleted.get(topic)?.get(queueId) ?? 0;
    const bounds = { topic, queueId, minOffset: offset, nextOffset: offset };
    const queue = new ConsumeQueue(bounds, bounds, this.#surroundings);
    this.#deleted.get(topic)?.delete(queueId);
    return this.#put(queue);
  }

  #put(queue: ConsumeQueue): ConsumeQueue {
    let queues = this.#topics.get(queue.topic);
    if (queues === undefined) {
      queues = new Map();
      this.#topics.set(queue.topic, queues);
    }
    queues.set(queue.queueId, queue);
    this.#count += 1;
    return queue;
  }

  // Oldest chunks go first. One that is not saved yet stops it: saving is due and evicts again.
  #evict(): void {
    while (this.#memorySize > this.#parts.memorySizeMax) {
      const oldest = this.#chunks.first();
      if (oldest === undefined || !oldest.queue.forget(oldest.chunk)) return;
      this.#chunks.shift();
    }
  }

  /** One job with the files at a time; a failed one does not stop those behind it. */
  #inTurn(task: () => Promise<void>): Promise<void> {
    const run = this.#saving.then(task);
    this.#saving = run.catch(() => {});
    return run;
  }
}

interface HeldChunk {
  readonly chunk: EntryChunk;
  readonly queue: ConsumeQueue;
}

/** A queue of chunks in the order they came; taking from the front costs nothing. */
class ChunkLine {
  #items: HeldChunk[] = [];
  #head = 0;

  push(item: HeldChunk): void {
    this.#items.push(item);
  }

  first(): HeldChunk | undefined {
    return this.#items[this.#head];
  }

  shift(): void {
    this.#head += 1;
    if (this.#head < 1_024 || this.#head * 2 < this.#items.length) return;
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }
}
