// Writes the changes of the tables to the database, one write at a time, and never what the log has
// not durably: so the database is never ahead of a log that comes back after a power cut.
import { setImmediate } from "node:timers/promises";
import { type Clock, type Logger, limits, type Position, position } from "../../base/index.ts";
import { mergeWrites, type StateWrite } from "./state-changes.ts";
import type { StateLevel } from "./state-database.ts";
import type { StateLog } from "./state-log.ts";
import type { StateTables } from "./state-tables.ts";
import type { Applied } from "./state-values.ts";

/** What a writer works on. */
export interface StateWriterOptions {
  readonly level: StateLevel;
  readonly tables: StateTables;
  readonly log: StateLog;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What the database reflects already; undefined when it does not say so yet. */
  readonly written: Applied | undefined;
}

/** The only one who writes to the database of a state. */
export class StateWriter {
  readonly #options: StateWriterOptions;
  #turn: Promise<unknown> = Promise.resolve();
  #isWriting = false;
  #failed: StateWrite | undefined;
  #failureCount = 0;
  #levelIsBroken = false;
  #written: Applied | undefined;
  #writtenAtMs: number;
  #retryAtMs = 0;

  constructor(options: StateWriterOptions) {
    this.#options = options;
    this.#written = options.written;
    this.#writtenAtMs = options.clock.monotonicMs();
  }

  /** Everything in the log before it is in the database. */
  get writtenPosition(): Position {
    return this.#written?.position ?? position(0);
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
    if (this.#failed !== undefined || tables.changeCount > 0) return true;
    // Without changes only the position moves: a longer replay after a crash costs less than the flush.
    const isBehind = tables.applied.position > this.writtenPosition;
    return isBehind && now - this.#writtenAtMs >= limits.statePositionPeriodMs;
  }

  async #writeNow(): Promise<Applied> {
    const { tables, log, clock, logger } = this.#options;
    const { applied } = tables;
    const isIdle = tables.changeCount === 0 && this.#failed === undefined;
    if (isIdle && applied.position === this.#written?.position) return applied;
    const taken = tables.take();
    const write = this.#failed === undefined ? taken : mergeWrites(this.#failed, taken);
    this.#isWriting = true;
    try {
      await log.flushTo(applied.position);
      await this.#put(write);
    } catch (error) {
      this.#failed = write;
      throw error;
    } finally {
      this.#isWriting = false;
    }
    if (this.#failureCount > 0) logger.info("state written again");
    this.#failed = undefined;
    this.#failureCount = 0;
    this.#written = applied;
    this.#writtenAtMs = clock.monotonicMs();
    return applied;
  }

  async #put(write: StateWrite): Promise<void> {
    const { level } = this.#options;
    // LevelDB takes no write after one has failed, until it is opened again.
    if (this.#levelIsBroken) {
      await level.close();
      await level.open();
    }
    this.#levelIsBroken = true;
    // Not atomic with what follows, and need not be: a replay from the old position clears again.
    for (const range of write.cleared) await level.clear(range);
    const batch = level.batch();
    let count = 0;
    for (const [key, value] of write.entries) {
      if (value === undefined) batch.del(key);
      else batch.put(key, value);
      count += 1;
      if (count % limits.stateEntriesPerTurn === 0) await setImmediate();
    }
    await batch.write();
    this.#levelIsBroken = false;
  }
}
