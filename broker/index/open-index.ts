// The index as a broker has it: in a worker thread, on the files of the store.
import type { Clock, Logger } from "../../base/index.ts";
import { type IndexedStore, KeyIndex } from "./key-index.ts";
import { WorkerPort } from "./worker-port.ts";

/** Follows `store` with an index in a thread of its own. The thread starts when there is something to index or to find. */
export function openKeyIndex(options: {
  readonly store: IndexedStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Folder of the commit log's segments. */
  readonly logFolder: string;
  /** Folder of the index, made when missing; its parent exists. */
  readonly indexFolder: string;
}): KeyIndex {
  const { store, clock, logFolder, indexFolder } = options;
  return new KeyIndex({
    store,
    clock,
    logger: options.logger.child("index"),
    openPort: async (start) => new WorkerPort({ logFolder, indexFolder, start }),
  });
}
