// The log of this broker as it copies another one's: opens state and queues for it, cuts it, replaces it by a snapshot,
// and shows what the master has confirmed.
import { join } from "node:path";
import { type Clock, type Logger, MqError } from "../base/index.ts";
import type {
  ConfirmFrame,
  FollowedLog,
  FollowerHost,
  Identity,
  StateEntry,
  Welcome,
} from "./ha/index.ts";
import {
  cutStorage,
  eraseStorage,
  eraseStoredLog,
  type StorageOptions,
  stateDatabase,
} from "./storage.ts";
import type { StorageSlot } from "./storage-slot.ts";
import { type Disk, type Quorum, readWhole, replaceWhole } from "./store/index.ts";

/** What a slave knows of its master. */
export interface MasterWord {
  readonly welcome: Welcome;
  /** The newest that it has said of its log, and when that came, monotonic milliseconds. */
  readonly place: ConfirmFrame | undefined;
  readonly heardAtMs: number;
  /** When the link came up, milliseconds since 1970. */
  readonly sinceMs: number;
}

/** What a slave log works on. */
export interface SlaveLogOptions {
  readonly slot: StorageSlot;
  readonly storage: StorageOptions;
  readonly identity: () => Identity;
  /** The link to the master has come up or gone. */
  readonly changed: () => void;
  /** The storage is going to be another one: whoever holds it lets go. */
  readonly letGo: () => Promise<void>;
  /** The end of the log is going to be another one than it was. */
  readonly willCut: () => Promise<void>;
}

/** Shows nothing that the master has not confirmed. */
class MasterQuorum implements Quorum {
  limit = 0;

  refusal(): undefined {
    return undefined;
  }

  confirmed(durable: number): number {
    return Math.min(durable, this.limit);
  }

  answered(durable: number): number {
    return durable;
  }

  outcome(): undefined {
    return undefined;
  }
}

/** Says up to where a log has to come before the snapshot of the state that lies beside it is good. */
const markerName = "snapshot";

/** The host of a follower. */
export class SlaveLog implements FollowerHost {
  readonly #options: SlaveLogOptions;
  readonly #quorum = new MasterQuorum();
  #isReady = false;
  #turn: Promise<unknown> = Promise.resolve();
  /** The state is good from here on only: until then the log is followed without it. */
  #stateFrom: number | undefined;
  #word: MasterWord | undefined;
  #lostReason = "not dialled yet";
  /** A start of the master's log counts once everything that was confirmed then is here. */
  #followedStart: { readonly start: number; readonly confirmed: number } | undefined;

  constructor(options: SlaveLogOptions) {
    this.#options = options;
  }

  /** What the master has said; undefined while it is not followed. */
  get word(): MasterWord | undefined {
    return this.#word;
  }

  /** Why the master is not followed; empty while it is. */
  get lostReason(): string {
    return this.#lostReason;
  }

  /** Whether the state is open and follows the log. */
  get isReady(): boolean {
    return this.#isReady && this.#stateFrom === undefined;
  }

  /** Whether the log is followed, but its state waits for it to come to a snapshot. */
  get isWithoutState(): boolean {
    return this.#isReady && this.#stateFrom !== undefined;
  }

  identity(): Identity {
    return this.#options.identity();
  }

  isFlushing(): boolean {
    return this.#options.storage.config.values.flushDiskType === "SYNC_FLUSH";
  }

  store(): FollowedLog {
    return this.#options.slot.required().store;
  }

  ready(emptyStart: number): Promise<void> {
    return this.#inTurn(async () => {
      const { slot } = this.#options;
      const { store } = slot.required();
      // An empty log that has a place has begun in vain, and the master has lost by now what was to come there.
      if (store.end === store.start && store.end > 0 && store.end !== emptyStart) {
        await this.#reopen(eraseStoredLog);
      }
      if (this.#isReady && this.#stateFrom !== undefined && store.durable >= this.#stateFrom) {
        await this.#reopen();
      }
      if (this.#isReady) return;
      try {
        await this.#open(emptyStart);
      } catch (error) {
        await this.#beginAgain(error);
      }
    });
  }

  /**
   * The log is the same as the master's, but no state can be made of it: it has lost its beginning, and what stood for
   * that was given up. Only the master can help, with everything.
   */
  async #beginAgain(error: unknown): Promise<never> {
    if (!(error instanceof MqError) || error.code !== "CORRUPT") throw error;
    const { storage } = this.#options;
    storage.logger.error(
      "no state can be made of this log: state and log are taken from the master again",
      {
        reason: error.message,
      },
    );
    await this.#reopen(eraseStorage);
    throw new MqError("HA_NOT_AVAILABLE", "the log was erased, to be taken from the master again");
  }

  /**
   * Opens the state without a master, so that this broker can act for it. Gives false when there is none: the log is
   * empty, or has not come to the snapshot of its state.
   */
  openWithoutMaster(): Promise<boolean> {
    return this.#inTurn(async () => {
      const { store } = this.#options.slot.required();
      if (this.#isReady) return this.#stateFrom === undefined;
      const isEmpty = store.start === store.end;
      if (isEmpty || (await this.#waitingSnapshot(store.end)) !== undefined) return false;
      await this.#open();
      return true;
    });
  }

  /** Opens the state, unless a snapshot waits for the log, and takes bytes from then on. */
  async #open(emptyStart?: number): Promise<void> {
    const { slot, storage } = this.#options;
    const current = slot.required();
    const { store } = current;
    this.#stateFrom = await this.#waitingSnapshot(store.end);
    this.#quorum.limit = 0;
    if (this.#stateFrom === undefined) {
      // It is open already when what comes next has failed before.
      const state = current.state ?? (await current.openState());
      state.follow();
      await storage.disk.remove(markerPath(storage));
    }
    store.heed(this.#quorum);
    await store.follow(emptyStart);
    this.#isReady = true;
  }

  snapshotAsOf(): Promise<number | undefined> {
    return this.#waitingSnapshot(this.store().end);
  }

  cut(position: number): Promise<void> {
    return this.#inTurn(async () => {
      const { slot, letGo, willCut } = this.#options;
      const { start } = slot.required().store;
      await letGo();
      await willCut();
      await this.#reopen((options) =>
        position <= start ? eraseStorage(options) : cutStorage(options, position),
      );
    });
  }

  install(snapshot: {
    readonly asOf: number;
    readonly entries: AsyncIterable<readonly StateEntry[]>;
  }): Promise<void> {
    return this.#inTurn(() => this.#install(snapshot));
  }

  async #install(snapshot: {
    readonly asOf: number;
    readonly entries: AsyncIterable<readonly StateEntry[]>;
  }): Promise<void> {
    await this.#reopen(async (options) => {
      await eraseStorage(options);
      await writeMarker(options, { asOf: snapshot.asOf, isWhole: false });
      const level = await stateDatabase(options).open();
      try {
        for await (const entries of snapshot.entries) {
          const batch = level.batch();
          for (const [key, value] of entries) batch.put(key, value);
          await batch.write();
        }
      } finally {
        await level.close();
      }
      await writeMarker(options, { asOf: snapshot.asOf, isWhole: true });
    });
  }

  followed(welcome: Welcome): void {
    this.#lostReason = "";
    const heardAtMs = this.#clock.monotonicMs();
    this.#word = { welcome, place: undefined, heardAtMs, sinceMs: this.#clock.now() };
    this.#options.changed();
  }

  masterSaid(place: Pick<ConfirmFrame, "confirmed"> & Partial<ConfirmFrame>): void {
    const { store } = this.#options.slot.required();
    this.#quorum.limit = Math.max(this.#quorum.limit, place.confirmed);
    store.heed(this.#quorum);
    if (this.#word !== undefined && isWhole(place)) {
      this.#word = { ...this.#word, place, heardAtMs: this.#clock.monotonicMs() };
      this.#noteStart(place);
    }
    if (this.#stateFrom !== undefined && store.durable >= this.#stateFrom) {
      throw new MqError("HA_NOT_AVAILABLE", "the log has come to its snapshot: it is opened anew");
    }
  }

  /**
   * Shows all of the log, also what the master had no time to call confirmed: no master of these roles serves again
   * without it.
   */
  confirmAll(): void {
    const { store } = this.#options.slot.required();
    this.#quorum.limit = store.end;
    store.heed(this.#quorum);
  }

  lost(reason: string): void {
    this.#word = undefined;
    this.#lostReason = reason;
    this.#options.changed();
  }

  /** Somebody else has the storage now; when this one follows again, it starts anew. */
  release(): void {
    this.#isReady = false;
    this.#word = undefined;
    this.#followedStart = undefined;
  }

  get #clock(): Clock {
    return this.#options.storage.clock;
  }

  /** Whoever follows and whoever acts open, cut and replace one log: one after the other. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(task);
    this.#turn = run.catch(() => {});
    return run;
  }

  async #reopen(task?: (options: StorageOptions) => Promise<void>): Promise<void> {
    await this.#options.letGo();
    this.#isReady = false;
    this.#followedStart = undefined;
    await this.#options.slot.reopen(task);
  }

  #noteStart({ start, confirmed }: ConfirmFrame): void {
    const { store } = this.#options.slot.required();
    if (start <= store.start) return;
    if (this.#followedStart?.start !== start) this.#followedStart = { start, confirmed };
    if (store.dispatched >= this.#followedStart.confirmed) store.setFollowedStart(start);
  }

  /** From where on the state beside the log is good; undefined when it is good now. */
  async #waitingSnapshot(end: number): Promise<number | undefined> {
    const marker = await readMarker(this.#options.storage);
    if (marker === undefined || !marker.isWhole || end >= marker.asOf) return undefined;
    return marker.asOf;
  }
}

interface Marker {
  readonly asOf: number;
  /** Whether all of the state has come. */
  readonly isWhole: boolean;
}

function markerPath({ config }: StorageOptions): string {
  return join(config.values.storePathRootDir, markerName);
}

async function writeMarker({ disk, config }: StorageOptions, marker: Marker): Promise<void> {
  const place = { folder: config.values.storePathRootDir, name: markerName };
  await replaceWhole(disk, place, Buffer.from(JSON.stringify(marker)));
}

async function readMarker(options: {
  readonly disk: Disk;
  readonly config: StorageOptions["config"];
  readonly logger: Logger;
}): Promise<Marker | undefined> {
  const path = join(options.config.values.storePathRootDir, markerName);
  const bytes = await readWhole(options.disk, path);
  if (bytes === undefined) return undefined;
  try {
    const { asOf, isWhole } = JSON.parse(bytes.toString("utf8")) as Partial<Marker>;
    if (typeof asOf === "number" && typeof isWhole === "boolean") return { asOf, isWhole };
  } catch {
    // Damaged: what it says is of no use, and the state is checked anyway.
  }
  options.logger.warn("the note about a snapshot cannot be read and is passed over", { path });
  return undefined;
}

function isWhole(place: Partial<ConfirmFrame>): place is ConfirmFrame {
  return place.kind === "confirm";
}
