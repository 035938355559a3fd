// Where the broker's storage is: the one that is open now, or none for the moment in which its log is cut or replaced.
import { limits, MqError, toMqError } from "../base/index.ts";
import { Storage, type StorageOptions } from "./storage.ts";

/** Holds one storage, and opens it anew when its files have to change under it. */
export class StorageSlot {
  readonly #options: StorageOptions;
  #current: Storage | undefined;
  #isClosed = false;

  private constructor(options: StorageOptions, current: Storage) {
    this.#options = options;
    this.#current = current;
  }

  /** Takes the folder and recovers the log. Throws as `Storage.open` does. */
  static async open(options: StorageOptions): Promise<StorageSlot> {
    return new StorageSlot(options, await Storage.open(options));
  }

  /** The open storage; undefined while it is changed. */
  get current(): Storage | undefined {
    return this.#current;
  }

  /** The open storage. Throws HA_NOT_AVAILABLE while there is none. */
  required(): Storage {
    if (this.#current !== undefined) return this.#current;
    throw new MqError("HA_NOT_AVAILABLE", "the log of this broker is being changed");
  }

  /**
   * Closes the storage, runs `task` on its closed files, and opens it again, as soon as the disk lets it. Rejects when
   * the task failed, with the storage open, and SHUTTING_DOWN. One call at a time.
   */
  async reopen(task?: (options: StorageOptions) => Promise<void>): Promise<void> {
    const before = this.#current;
    this.#current = undefined;
    await before?.close();
    let failure: MqError | undefined;
    try {
      await task?.(this.#options);
    } catch (error) {
      failure = toMqError(error);
    }
    this.#current = await this.#openAgain();
    if (failure !== undefined) throw failure;
  }

  /** A full or failing disk is tried again: it may have been healed, and until then this broker is of no use anyway. */
  async #openAgain(): Promise<Storage> {
    const { logger, clock } = this.#options;
    for (let saidReason = ""; ; ) {
      if (this.#isClosed) throw new MqError("SHUTTING_DOWN", "the broker is stopping");
      try {
        return await Storage.open(this.#options);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (reason !== saidReason) logger.error("the log cannot be opened again yet", { reason });
        saidReason = reason;
      }
      await new Promise<void>((resolve) => {
        clock.after(limits.storageRetryMs, resolve, { unref: true });
      });
    }
  }

  /** Closes for good. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const before = this.#current;
    this.#current = undefined;
    await before?.close();
  }
}
