// Builds the message index from the log and answers from it. It may be behind, it may be deleted:
// it is built again from what the log still has.
import { crc32 } from "node:zlib";
import { readMessageProperties } from "@cometmq/proto/hot";
import { limits, MqError } from "../../base/index.ts";
import { isHeld, isQueued, RecordType, type RecordView } from "../store/index.ts";
import {
  entriesOf,
  entryKey,
  generationOf,
  generationsBelow,
  indexedKey,
  positionIn,
} from "./index-keys.ts";
import type { IndexLevel, IndexSource } from "./index-level.ts";
import type {
  FoundMessage,
  IndexPort,
  IndexProgress,
  IndexQuery,
  IndexStart,
  IndexTarget,
} from "./index-port.ts";

/** The log as the index reads it. */
export interface IndexLog {
  /** Learns of what was written and removed since; to be called before `scan`. */
  refresh(): Promise<void>;
  /** See `Store.scan`. */
  scan(from: number, to: number): AsyncIterable<readonly RecordView[]>;
}

/** What an indexer stands on. */
export interface IndexerOptions {
  readonly database: IndexSource;
  readonly log: IndexLog;
  readonly start: IndexStart;
  /** Milliseconds from an arbitrary start. */
  readonly monotonicMs: () => number;
}

/** An index in this thread. When its database fails that is thrown away, and a new indexer has to be opened. */
export class Indexer implements IndexPort {
  readonly #database: IndexSource;
  readonly #level: IndexLevel;
  readonly #log: IndexLog;
  readonly #monotonicMs: () => number;
  #position: number;
  #start = 0;
  #prunedBelow = 0;

  private constructor(options: IndexerOptions, level: IndexLevel, indexed: Indexed) {
    this.#database = options.database;
    this.#level = level;
    this.#log = options.log;
    this.#monotonicMs = options.monotonicMs;
    this.#position = indexed.position;
  }

  /** Opens the database; one that is damaged or not of this log is thrown away. */
  static async open(options: IndexerOptions): Promise<Indexer> {
    const { database, start } = options;
    let level: IndexLevel | undefined;
    try {
      level = await database.open();
      const indexed = readIndexed(await level.get(indexedKey));
      if (indexed !== undefined && isOfLog(indexed, start)) {
        return new Indexer(options, level, indexed);
      }
    } catch {
      // A database that cannot be read is no loss: it is built again.
    }
    await level?.close();
    await database.destroy();
    return new Indexer(options, await database.open(), { position: 0, epoch: 0 });
  }

  async advance(target: IndexTarget): Promise<IndexProgress> {
    const beganMs = this.#monotonicMs();
    await this.#orDiscard(() => this.#prune(target.start));
    this.#position = Math.max(this.#position, target.start);
    if (this.#position < target.end) {
      await this.#log.refresh();
      await this.#indexSome(target.end);
    }
    return { position: this.#position, busyMs: this.#monotonicMs() - beganMs };
  }

  query(query: IndexQuery): Promise<readonly FoundMessage[]> {
    return this.#orDiscard(() => this.#find(query));
  }

  close(): Promise<void> {
    return this.#level.close();
  }

  async #find(query: IndexQuery): Promise<readonly FoundMessage[]> {
    const found: FoundMessage[] = [];
    const oldest = generationOf(this.#start);
    const newest = generationOf(this.#position);
    for (let generation = newest; generation >= oldest; generation--) {
      const limit = query.countMax - found.length;
      if (limit <= 0) break;
      const range = entriesOf(query, generation, query);
      for await (const [key, value] of this.#level.iterator({ ...range, reverse: true, limit })) {
        const message = readEntry(key, value);
        if (message.position >= this.#start) found.push(message);
      }
    }
    return found;
  }

  async #indexSome(end: number): Promise<void> {
    let size = 0;
    for await (const records of this.#log.scan(this.#position, end)) {
      await this.#orDiscard(() => this.#write(records));
      for (const record of records) size += record.size;
      if (size >= limits.indexStepSize) return;
    }
  }

  async #write(records: readonly RecordView[]): Promise<void> {
    const last = records.at(-1);
    if (last === undefined) return;
    const batch = this.#level.batch();
    for (const record of records) {
      if (!isMessage(record.type)) continue;
      for (const key of keysOf(record)) batch.put(key, entryValue(key, record.size));
    }
    const position = last.position + last.size;
    batch.put(indexedKey, writeIndexed({ position, epoch: last.epoch }));
    await batch.write();
    this.#position = position;
  }

  /** Removes some of what lies in generations before `start`, a bounded part at a time. */
  async #prune(start: number): Promise<void> {
    this.#start = Math.max(this.#start, start);
    const generation = generationOf(start);
    if (generation <= this.#prunedBelow) return;
    const range = generationsBelow(generation);
    await this.#level.clear({ ...range, limit: limits.indexPruneCountMax });
    for await (const [key] of this.#level.iterator({ ...range, reverse: false, limit: 1 })) {
      if (key !== "") return;
    }
    this.#prunedBelow = generation;
  }

  /** Runs `task` on the database. When it fails, the database is removed: it can be built again. */
  async #orDiscard<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      await this.#level.close();
      await this.#database.destroy();
      throw error;
    }
  }
}

/** Up to where an index goes. */
interface Indexed {
  readonly position: number;
  /** Epoch of the log just before it. */
  readonly epoch: number;
}

const formatVersion = 2;

function writeIndexed({ position, epoch }: Indexed): string {
  return `${formatVersion} ${position} ${epoch}`;
}

/** Undefined for what this version did not write. */
function readIndexed(value: string | undefined): Indexed | undefined {
  const match = /^(\d+) (\d+) (\d+)$/.exec(value ?? "");
  if (match === null || Number(match[1]) !== formatVersion) return undefined;
  return { position: Number(match[2]), epoch: Number(match[3]) };
}

function isOfLog({ position, epoch }: Indexed, log: IndexStart): boolean {
  if (position > log.end) return false;
  const before = log.epochs.findLast((start) => start.position < position)?.epoch;
  return before === undefined ? position <= log.start : before === epoch;
}

/** Also one that is in no queue yet: who asks looks whether it is held still. */
function isMessage(type: number): boolean {
  return isQueued(type) || isHeld(type) || type === RecordType.carriedMessage;
}

function keysOf(record: RecordView): readonly string[] {
  const { topic } = record;
  try {
    const { messageId, keys } = readMessageProperties(record.systemProperties);
    const found = keys.map((key) => entryKey({ topic, by: { key } }, record));
    if (messageId !== "") found.push(entryKey({ topic, by: { id: messageId } }, record));
    return found;
  } catch {
    // Properties nobody can read: the message is there, but has nothing to be found by.
    return [];
  }
}

/** Size of the record, and a checksum over key and size: LevelDB does not verify what it reads. */
function entryValue(key: string, size: number): string {
  return `${size} ${crc32(`${key}${size}`)}`;
}

function readEntry(key: string, value: string): FoundMessage {
  const size = Number(value.split(" ", 1)[0]);
  if (value !== entryValue(key, size)) throw new MqError("CORRUPT", "the message index is damaged");
  return { position: positionIn(key), size };
}
