// What a broker has on its disk, opened: log, state, index. It lives until the log has to be cut or replaced; then it is
// closed and opened anew. Knows nothing of other brokers.
import { join } from "node:path";
import {
  assert,
  type BrokerConfiguration,
  type Clock,
  type Logger,
  MqError,
  type Random,
} from "../base/index.ts";
import type { BrokerBounds } from "./bounds.ts";
import { carryHeld, HeldMessages } from "./held/index.ts";
import { type KeyIndex, openKeyIndex } from "./index/index.ts";
import { type LevelSource, levelFolder, type Metadata, StateStore } from "./metadata/index.ts";
import { Openings } from "./openings.ts";
import {
  type ClosedStore,
  cutLog,
  type Disk,
  eraseLog,
  Store,
  type StoreObserver,
} from "./store/index.ts";
import { retentionOptions, storeOptions } from "./store-options.ts";

/** What storage stands on. */
export interface StorageOptions {
  readonly config: BrokerConfiguration;
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly observer?: StoreObserver;
  /** Where the state lives; a folder beside the log by default. */
  readonly stateDatabase?: LevelSource;
  /** False: messages are not indexed, whatever the configuration says. */
  readonly index?: boolean;
  /** Smaller ones, for tests. */
  readonly bounds?: BrokerBounds | undefined;
}

/** An open data folder. */
export class Storage {
  readonly store: Store;
  readonly #options: StorageOptions;
  readonly #openings: Openings;
  #state: StateStore | undefined;
  #held: HeldMessages | undefined;
  #index: KeyIndex | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: StorageOptions, store: Store, openings: Openings) {
    this.#options = options;
    this.store = store;
    this.#openings = openings;
  }

  /** Takes the folder and recovers the log. Throws as `Store.open` does. */
  static async open(options: StorageOptions): Promise<Storage> {
    const openings = new Openings(options.logger);
    try {
      await lockLogFolder(options, openings);
      const { config, disk, clock, logger, observer, bounds } = options;
      const store = await Store.open({
        ...storeOptions(config.values),
        ...(bounds?.appendBacklogSizeMax === undefined
          ? {}
          : { appendBacklogSizeMax: bounds.appendBacklogSizeMax }),
        disk,
        clock,
        logger: logger.child("store"),
        ...(observer === undefined ? {} : { observer }),
      });
      openings.add("store", () => store.close());
      const forget = config.onChange(() => store.setRetention(retentionOptions(config.values)));
      openings.add("retention settings", forget);
      return new Storage(options, store, openings);
    } catch (error) {
      await openings.close();
      throw error;
    }
  }

  /** Topics, groups and progress; undefined before `openState`. */
  get state(): StateStore | undefined {
    return this.#state;
  }

  /** Topics and groups; undefined before `openState`. */
  get metadata(): Metadata | undefined {
    return this.#state?.metadata;
  }

  /** Messages that are in no queue yet; undefined before `openState`. */
  get held(): HeldMessages | undefined {
    return this.#held;
  }

  /** Finds messages by key; undefined before `openState`, and when it is switched off. */
  get index(): KeyIndex | undefined {
    return this.#index;
  }

  /** Brings the state to the end of the log, before the store begins or follows. Throws as `StateStore.open` does. */
  async openState(): Promise<StateStore> {
    assert(this.#state === undefined, "the state of a log is opened once");
    const { clock, random, logger, bounds } = this.#options;
    const { store } = this;
    const database = stateDatabase(this.#options);
    const state = await StateStore.open({ database, store, clock, random, logger, bounds });
    this.#openings.add("state", () => state.close());
    store.restoreQueues(state.queueBounds());
    const held = new HeldMessages({
      state: state.held,
      store,
      clock,
      logger: logger.child("held"),
    });
    this.#openings.add("held messages", () => held.close());
    store.onExpire = {
      snapshot: async (below) => {
        requireReign(store);
        await carryHeld(held, below);
        return await state.snapshot();
      },
    };
    this.#state = state;
    this.#held = held;
    this.#openIndex();
    return state;
  }

  /** Writes what is left and gives the folder free. Never rejects: failures are logged. */
  close(): Promise<void> {
    this.#closing ??= this.#openings.close();
    return this.#closing;
  }

  #openIndex(): void {
    const { config, clock, logger } = this.#options;
    const { messageIndexEnable, storePathCommitLog, storePathRootDir } = config.values;
    if (!messageIndexEnable || this.#options.index === false) return;
    const index = openKeyIndex({
      store: this.store,
      clock,
      logger,
      logFolder: storePathCommitLog,
      indexFolder: join(storePathRootDir, "index"),
    });
    this.#openings.add("index", () => index.close());
    this.#index = index;
  }
}

/**
 * Throws HA_NOT_AVAILABLE until the beginning of the newest epoch is confirmed: what the master before has appended last is
 * not applied until then, and a held message that it has delivered looks as if it were still there.
 */
function requireReign({ epochs, dispatched }: Pick<Store, "epochs" | "dispatched">): void {
  const newest = epochs.at(-1);
  if (newest === undefined || dispatched > newest.position) return;
  throw new MqError("HA_NOT_AVAILABLE", `epoch ${newest.epoch} is not confirmed yet`);
}

/** Where the state of a broker lives. */
export function stateDatabase(options: StorageOptions): LevelSource {
  const { disk, config } = options;
  return options.stateDatabase ?? levelFolder(disk, join(config.values.storePathRootDir, "state"));
}

/** Cuts the log of a closed storage at `end` and keeps the rest in a side file. See `cutLog`. */
export async function cutStorage(options: StorageOptions, end: number): Promise<void> {
  await cutLog(closedStore(options), end, String(options.clock.now()));
}

/** Removes log and state of a closed storage. */
export async function eraseStorage(options: StorageOptions): Promise<void> {
  await stateDatabase(options).destroy();
  await eraseStoredLog(options);
}

/** Removes the log of a closed storage; its state, which a snapshot gave, stays. */
export async function eraseStoredLog(options: StorageOptions): Promise<void> {
  await eraseLog(closedStore(options));
}

function closedStore({ config, disk, logger }: StorageOptions): ClosedStore {
  const { storePathRootDir, storePathCommitLog } = config.values;
  return {
    disk,
    folder: storePathRootDir,
    commitLogFolder: storePathCommitLog,
    logger: logger.child("store"),
  };
}

/** The store locks its own folder; a commit log elsewhere needs a lock of its own. */
async function lockLogFolder({ config, disk }: StorageOptions, openings: Openings): Promise<void> {
  const { storePathCommitLog, storePathRootDir } = config.values;
  if (storePathCommitLog.startsWith(join(storePathRootDir, "/"))) return;
  await disk.makeFolder(storePathCommitLog);
  const lock = await disk.lock(storePathCommitLog);
  openings.add("log folder", () => lock.release());
}
