// The state of a broker: topics, groups, progress and queue bounds, derived from the log and kept in
// a level database together with the position it reflects. docs/format/state.md.
import {
  background,
  type CancelTimer,
  type Clock,
  type Logger,
  limits,
  MqError,
  type Position,
  position,
  type Random,
} from "../../base/index.ts";
import { AppliedWaiters } from "./applied-waiters.ts";
import { HeldState } from "./held-state.ts";
import { Metadata, type MetadataOptions } from "./metadata.ts";
import type { QueueEnd } from "./metadata-codec.ts";
import type { PendingEntry, QueueProgress } from "./progress-change.ts";
import {
  entriesOf,
  type LevelSource,
  type StateIterator,
  type StateLevel,
} from "./state-database.ts";
import { emptyDigest, type StateDigest } from "./state-digest.ts";
import { allProgress, parseKey } from "./state-keys.ts";
import type { LoggedRecord, StateLog } from "./state-log.ts";
import { appendChange, appendSnapshot } from "./state-records.ts";
import { loadDatabase, loadSnapshot, replay } from "./state-recovery.ts";
import { StateTables } from "./state-tables.ts";
import {
  type Applied,
  decodeCursor,
  decodePending,
  type QueueRange,
  unseal,
} from "./state-values.ts";
import { StateWriter } from "./state-writer.ts";

/** What a state stands on. */
export interface StateOptions {
  readonly database: LevelSource;
  /** Open, not begun. */
  readonly store: StateLog;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly bounds?: Pick<MetadataOptions, "topicCountMax" | "groupCountMax"> | undefined;
}

interface Parts {
  readonly metadata: Metadata;
  readonly tables: StateTables;
  readonly waiters: AppliedWaiters;
  readonly level: StateLevel;
  readonly writer: StateWriter;
}

const macKeySize = 32;

/** The state of one broker. */
export class StateStore {
  /** Topics, groups and the receipt-handle key, in memory. */
  readonly metadata: Metadata;
  /** Messages that are in the log and in no queue yet. */
  readonly held: HeldState;
  readonly #options: StateOptions;
  readonly #parts: Parts;
  #cancelTimer: CancelTimer | undefined;
  #snapshotting: Promise<Position> | undefined;
  #saidUnpurged = false;
  #closing: Promise<void> | undefined;

  private constructor(options: StateOptions, parts: Parts) {
    const { tables, writer, level } = parts;
    this.metadata = parts.metadata;
    this.held = new HeldState({ table: tables.held, writer, level });
    this.#options = options;
    this.#parts = parts;
  }

  /**
   * Brings the state to the end of the log and follows the log from there. A database that is damaged,
   * of another version, or not of this log is thrown away and rebuilt. Throws CORRUPT when the log
   * itself cannot give the state, FOLDER_IN_USE, and what the database throws when it cannot be made anew.
   */
  static async open(options: StateOptions): Promise<StateStore> {
    const own = { ...options, logger: options.logger.child("state") };
    const parts = (await openKept(own)) ?? (await rebuild(own));
    const { tables, writer, level } = parts;
    try {
      await replay(own.store, tables, { logger: own.logger, write: () => writer.write() });
      await writer.write();
    } catch (error) {
      await level.close();
      throw error;
    }
    const state = new StateStore(own, parts);
    own.store.subscribe({
      apply: (record) => state.#apply(record),
      confirmed: (end) => state.#confirmed(end),
    });
    return state;
  }

  /** Everything in the log before it is in the state in memory. */
  get appliedPosition(): Position {
    return this.#parts.tables.applied.position;
  }

  /** Everything in the log before it is in the database. */
  get writtenPosition(): Position {
    return this.#parts.writer.writtenPosition;
  }

  /** Bounds of the queues that have lost messages or whose topic was deleted: for the store, before it begins. */
  queueBounds(): Iterable<QueueRange> {
    return this.#parts.tables.bounds();
  }

  /** Writes changes from now on, as the store takes them over from its master. */
  follow(): void {
    const { clock } = this.#options;
    this.#cancelTimer ??= clock.every(limits.stateWritePeriodMs, () => this.#writeIfDue());
  }

  /** Writes changes from now on, and makes the receipt-handle key if there is none. The store has begun. */
  async begin(): Promise<void> {
    this.follow();
    if (this.metadata.hasMacKey) return;
    const { store, random } = this.#options;
    const key = random.bytes(macKeySize);
    await appendChange(store, this.#parts.waiters, { kind: "macKey", key });
  }

  /** The progress of every group on every queue, as it is in the log when this is called: for delivery, at its start. */
  async *loadProgress(): AsyncGenerator<QueueProgress> {
    const { level, writer } = this.#parts;
    const iterator = await writer.writeThen(
      () => {},
      () => level.iterator(allProgress),
    );
    let current: (QueueProgress & { readonly pending: PendingEntry[] }) | undefined;
    for await (const entries of entriesOf(iterator)) {
      for (const [key, value] of entries) {
        const parsed = parseKey(key);
        const content = unseal(key, value);
        if (parsed?.kind === "pending") {
          current?.pending.push(decodePending(parsed.offset, content));
          continue;
        }
        if (current !== undefined) yield current;
        current = undefined;
        if (parsed?.kind !== "cursor") continue;
        const { group, topic, queueId } = parsed;
        current = { group, topic, queueId, cursor: decodeCursor(content).cursor, pending: [] };
      }
    }
    if (current !== undefined) yield current;
  }

  /**
   * Appends the whole state to the log and resolves, when that is durable, with the position from
   * which a replay needs the log. Calls at the same time share one snapshot. Throws what the store
   * throws, and INTERNAL_SERVER_ERROR when the database is damaged: the next start rebuilds it.
   */
  snapshot(): Promise<Position> {
    this.#snapshotting ??= this.#snapshot()
      .catch((error: unknown) => {
        throw snapshotFailure(error);
      })
      .finally(() => (this.#snapshotting = undefined));
    return this.#snapshotting;
  }

  /**
   * All keys and sealed values of the database as they are at the log position `asOf`, for another broker: with them
   * its database reflects the log up to there. Goes on while the state changes.
   */
  async export(): Promise<{
    readonly asOf: Position;
    readonly entries: AsyncIterable<readonly (readonly [key: string, value: Uint8Array])[]>;
  }> {
    const { iterator, asOf } = await this.#viewNow();
    return { asOf: asOf.position, entries: entriesOf(iterator) };
  }

  /** Writes what has changed and closes the database. The store is still open; nothing is followed any more. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#cancelTimer?.();
    const { waiters, writer, level } = this.#parts;
    waiters.fail(new MqError("SHUTTING_DOWN", "the broker is stopping"));
    try {
      await writer.write();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.logger.warn(
        "state not written at close, the next start takes it from the log",
        {
          reason,
        },
      );
    }
    await level.close();
  }

  #apply(record: LoggedRecord): void {
    if (this.#closing !== undefined) return;
    const change = this.#parts.tables.apply(record);
    if (change?.kind === "deleteTopic") this.#options.store.deleteTopic(change.name, change.queues);
    this.#parts.waiters.advance(record.position);
  }

  #confirmed(end: number): void {
    if (this.#closing !== undefined) return;
    const { tables } = this.#parts;
    tables.advance(position(end));
    if (tables.changeCount > limits.stateChangesMax) this.#writeIfDue();
  }

  #writeIfDue(): void {
    background(this.#parts.writer.writeIfDue());
    if (this.#parts.tables.held.hasDead) background(this.#purge());
  }

  async #purge(): Promise<void> {
    try {
      await this.held.purge();
      this.#saidUnpurged = false;
    } catch (error) {
      if (this.#closing !== undefined || this.#saidUnpurged) return;
      this.#saidUnpurged = true;
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.logger.warn("held messages of deleted topics are still stored", { reason });
    }
  }

  async #snapshot(): Promise<Position> {
    const { store, random } = this.#options;
    const { iterator, asOf, digest } = await this.#viewNow();
    const id = Math.floor(random.next() * 2 ** 48);
    await store.flushTo(await appendSnapshot(store, iterator, { id, asOf, digest }));
    return asOf.position;
  }

  /** The database as it reflects the log now, queue bounds included. */
  #viewNow(): Promise<{ iterator: StateIterator; asOf: Applied; digest: StateDigest }> {
    const { store } = this.#options;
    const { tables, writer, level } = this.#parts;
    return writer.writeThen(
      () => {
        for (const { topic, queueId, minOffset, endOffset } of store.queues()) {
          // What is kept of a deleted topic was settled by its deletion.
          if (this.metadata.topic(topic) === undefined) continue;
          tables.setBounds({ topic, queueId, minOffset, nextOffset: endOffset });
        }
      },
      (asOf) => ({ iterator: level.iterator(), asOf, digest: writer.digest }),
    );
  }
}

/** What is wrong with the database says nothing about the log, which goes on taking records. */
function snapshotFailure(error: unknown): MqError {
  if (error instanceof MqError && error.code !== "CORRUPT") return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new MqError("INTERNAL_SERVER_ERROR", `no snapshot of the state: ${reason}`, {
    cause: error,
  });
}

/** Opens what was kept; undefined, and nothing left open, when it is of no use. */
async function openKept(options: StateOptions): Promise<Parts | undefined> {
  const { database, store, logger } = options;
  let level: StateLevel | undefined;
  let reason: string;
  try {
    level = await database.open();
    if (await isEmpty(level)) return await fill(options, level);
    const tables = makeTables(options);
    const kept = await loadDatabase(level, store, tables.tables);
    if (kept.isUsable) return withWriter(options, { ...tables, level }, kept);
    reason = kept.reason;
  } catch (error) {
    if (error instanceof MqError && error.code === "FOLDER_IN_USE") throw error;
    reason = error instanceof Error ? error.message : String(error);
  }
  await level?.close();
  logger.warn("state thrown away, it is rebuilt from the log", { reason });
  return undefined;
}

async function rebuild(options: StateOptions): Promise<Parts> {
  await options.database.destroy();
  const level = await options.database.open();
  try {
    return await fill(options, level);
  } catch (error) {
    await level.close();
    throw error;
  }
}

/** Starts with an empty database: from a snapshot in the log, or from nothing when the log is whole. */
async function fill(options: StateOptions, level: StateLevel): Promise<Parts> {
  const parts = withWriter(options, { ...makeTables(options), level }, undefined);
  await loadSnapshot(options.store, parts.tables, parts.writer);
  return parts;
}

async function isEmpty(level: StateLevel): Promise<boolean> {
  const keys = level.keys({ limit: 1 })[Symbol.asyncIterator]();
  const first = await keys.next();
  await keys.return?.();
  return first.done === true;
}

function makeTables(options: StateOptions): Pick<Parts, "metadata" | "tables" | "waiters"> {
  const { store, clock } = options;
  const waiters = new AppliedWaiters();
  const metadata = new Metadata({
    ...options.bounds,
    clock,
    append: (change) => appendChange(store, waiters, change),
    queueEnds: (topic) => queueEnds(store, topic),
  });
  return { metadata, tables: new StateTables(metadata), waiters };
}

function withWriter(
  options: StateOptions,
  parts: Omit<Parts, "writer">,
  kept: { readonly applied: Applied; readonly digest: StateDigest } | undefined,
): Parts {
  const { store: log, clock, logger } = options;
  const { level, tables } = parts;
  const written = kept?.applied;
  const digest = kept?.digest ?? emptyDigest;
  const writer = new StateWriter({ level, tables, log, clock, logger, written, digest });
  return { ...parts, writer };
}

function queueEnds(store: StateLog, topic: string): readonly QueueEnd[] {
  const ends: QueueEnd[] = [];
  for (const queue of store.queues()) {
    if (queue.topic !== topic) continue;
    ends.push({ queueId: queue.queueId, nextOffset: queue.nextOffset });
  }
  return ends;
}
