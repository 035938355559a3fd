// Writes the changes of the tables to the database, one write at a time, and never what the log has
// not durably: so the database is never ahead of a log that comes back after a power cut.
import { type Clock, type Logger, limits, type Position, position } from "../../base/index.ts";
import { Unwritten } from "./state-changes.ts";
import type { StateBatch, StateLevel } from "./state-database.ts";
import { digestWith, digestWithout, emptyDigest, type StateDigest } from "./state-digest.ts";
import { digestKey } from "./state-keys.ts";
import type { StateLog } from "./state-log.ts";
import type { StateTables } from "./state-tables.ts";
import { type Applied, decodeDigest, encodeDigest, seal, unseal } from "./state-values.ts";

/** What a writer works on. */
export interface StateWriterOptions {
  readonly level: StateLevel;
  readonly tables: StateTables;
  readonly log: StateLog;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the database reflects already; undefined when it does not say so yet. */
  readonly written: Applied | undefined;
  /** What is in the database. */
  readonly digest: StateDigest;
}

/** The only one who writes to the database of a state. */
export class StateWriter {
  readonly #options: StateWriterOptions;
  #digest: StateDigest;
  #turn: Promise<unknown> = Promise.resolve();
  #isWriting = false;
  /** Empty unless a write has failed, or is under way. */
  readonly #unwritten = new Unwritten();
  #failureCount = 0;
  #levelIsBroken = false;
  #written: Applied | undefined;
  #writtenAtMs: number;
  #retryAtMs = 0;

  constructor(options: StateWriterOptions) {
    this.#options = options;
    this.#digest = options.digest;
    this.#written = options.written;
    this.#writtenAtMs = options.clock.monotonicMs();
  }

  /** Everything in the log before it is in the database. */
  get writtenPosition(): Position {
    return this.#written?.position ?? position(0);
  }

  /** The digest of what is in the database. */
  get digest(): StateDigest {
    return this.#digest;
  }

  /** Writes in the background when there is reason to and nobody writes. Failures are told once and tried again. */
  async writeIfDue(): Promise<void> {
    if (this.#isWriting || !this.#isDue()) return;
    try {
      await this.write();
    } catch (error) {
      this.#retryAtMs = this.#options.clock.monotonicMs() + limits.stateRetryMs;
      this.#failureCount += 1;
      if (this.#failureCount > 1) return;
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.logger.warn("state not written, will be tried again", { reason });
    }
  }

  /** Writes all changes. Rejects when log or database fail; the changes are kept for the next write. */
  write(): Promise<Applied> {
    return this.alone(() => this.#writeNow());
  }

  /**
   * Puts keys and sealed values as they are, or removes keys: for a database that does not say yet what it reflects,
   * and for what makes no difference to that.
   */
  load(entries: Iterable<readonly [key: string, value: Uint8Array | undefined]>): Promise<void> {
    return this.alone(() => this.#put({ cleared: [], entries: new Map(entries) }));
  }

  /** The sealed value of a key as it was written, or would be if no write failed; undefined when there is none. */
  read(key: string): Promise<Uint8Array | undefined> {
    return this.alone(async () => {
      const { entries } = this.#unwritten;
      return entries.has(key) ? entries.get(key) : await this.#options.level.get(key);
    });
  }

  /**
   * Runs `prepare` and writes all changes in one turn, then runs `task` before anything else is
   * written: it finds the database as it is at `written`.
   */
  writeThen<T>(prepare: () => void, task: (written: Applied) => T): Promise<T> {
    return this.alone(async () => {
      prepare();
      return task(await this.#writeNow());
    });
  }

  /** Runs `task` while nothing is written. */
  alone<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(task);
    this.#turn = run.catch(() => {});
    return run;
  }

  #isDue(): boolean {
    const { tables, clock } = this.#options;
    const now = clock.monotonicMs();
    if (now < this.#retryAtMs) return false;
    if (this.#hasUnwritten || tables.changeCount > 0) return true;
    // Without changes only the position moves: a longer replay after a crash costs less than the flush.
    const isBehind = tables.applied.position > this.writtenPosition;
    return isBehind && now - this.#writtenAtMs >= limits.statePositionPeriodMs;
  }

  async #writeNow(): Promise<Applied> {
    const { tables, log, clock, logger } = this.#options;
    const { applied } = tables;
    const isIdle = tables.changeCount === 0 && !this.#hasUnwritten;
    if (isIdle && applied.position === this.#written?.position) return applied;
    const changes = tables.take();
    this.#isWriting = true;
    try {
      await this.#unwritten.add(changes);
      await log.flushTo(applied.position);
      await this.#put(this.#unwritten);
      this.#unwritten.written();
    } finally {
      this.#isWriting = false;
    }
    if (this.#failureCount > 0) logger.info("state written again");
    this.#failureCount = 0;
    this.#written = applied;
    this.#writtenAtMs = clock.monotonicMs();
    return applied;
  }

  get #hasUnwritten(): boolean {
    return this.#unwritten.entries.size > 0;
  }

  async #put(write: Pick<Unwritten, "cleared" | "entries">): Promise<void> {
    const { level } = this.#options;
    if (this.#levelIsBroken) await this.#reopen();
    this.#levelIsBroken = true;
    const batch = new DigestedBatch(level.batch(), this.#digest);
    for (const range of write.cleared) {
      for await (const [key, old] of level.iterator(range)) batch.set(key, undefined, old);
    }
    for (const chunk of chunks(write.entries, limits.stateEntriesPerTurn)) {
      // What the ranges took away is not there any more for what follows.
      const keys = chunk.map(([key]) => key).filter((key) => !batch.hasRemoved(key));
      const values = await level.getMany(keys);
      const old = new Map(keys.map((key, index) => [key, values[index]]));
      for (const [key, value] of chunk) batch.set(key, value, old.get(key));
    }
    this.#digest = await batch.write();
    this.#levelIsBroken = false;
  }

  /** LevelDB takes no write after one has failed, until it is opened again; that one may be there after all. */
  async #reopen(): Promise<void> {
    const { level } = this.#options;
    await level.close();
    await level.open();
    this.#digest = await readDigest(level);
  }
}

/** The digest that a database says it has; that of an empty one when it says none. Throws CORRUPT. */
export async function readDigest(level: StateLevel): Promise<StateDigest> {
  const value = await level.get(digestKey);
  return value === undefined ? emptyDigest : decodeDigest(unseal(digestKey, value));
}

/** Gives `items` in arrays of at most `countMax`. */
function* chunks<T>(items: Iterable<T>, countMax: number): Generator<T[]> {
  let chunk: T[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length < countMax) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}

/** A batch that keeps the digest. */
class DigestedBatch {
  readonly #batch: StateBatch;
  readonly #removed = new Set<string>();
  #digest: StateDigest;

  constructor(batch: StateBatch, digest: StateDigest) {
    this.#batch = batch;
    this.#digest = digest;
  }

  /** Whether the key has been removed by this batch. */
  hasRemoved(key: string): boolean {
    return this.#removed.has(key);
  }

  /** Sets a key that has the value `old` now, or removes it. */
  set(key: string, value: Uint8Array | undefined, old: Uint8Array | undefined): void {
    if (old !== undefined) this.#digest = digestWithout(this.#digest, old);
    if (value === undefined) {
      this.#batch.del(key);
      this.#removed.add(key);
    } else {
      this.#batch.put(key, value);
      this.#digest = digestWith(this.#digest, value);
    }
  }

  /** Writes all at once, and gives the digest of the database from then on. */
  async write(): Promise<StateDigest> {
    this.#batch.put(digestKey, seal(digestKey, encodeDigest(this.#digest)));
    await this.#batch.write();
    return this.#digest;
  }
}
