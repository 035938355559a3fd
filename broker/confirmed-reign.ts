// The beginning of a reign, until all that the log has by then is confirmed.
import { type Logger, MqError, toMqError } from "../base/index.ts";
import type { Store } from "./store/index.ts";

/**
 * Opens an epoch; an elected master may have to wait until the members of its in-sync set have come. Rejects as
 * `Store.begin` does, and with the reason of `signal`.
 */
export async function beginConfirmed(reign: {
  readonly store: Store;
  readonly epoch: number;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}): Promise<void> {
  const { store, epoch, signal, logger } = reign;
  try {
    await unlessAborted(store.begin(epoch), signal);
  } catch (error) {
    const code = error instanceof MqError ? error.code : undefined;
    if (code !== "SLAVE_PERSISTENCE_TIMEOUT" && code !== "MASTER_PERSISTENCE_TIMEOUT") throw error;
    logger.warn("the new reign is not confirmed yet: waiting for the in-sync set", { epoch });
    await unlessAborted(untilConfirmed(store), signal);
  }
}

/** Resolves when all that is in the log now is confirmed; rejects when the store fails. */
function untilConfirmed(store: Store): Promise<void> {
  const { end } = store;
  return new Promise((resolve, reject) => {
    const stop = store.onProgress(() => {
      const { failure } = store;
      if (failure === undefined && store.confirmed < end) return;
      stop();
      if (failure === undefined) resolve();
      else reject(failure);
    });
  });
}

function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(toMqError(signal.reason)), { once: true });
    promise.then(resolve, reject);
  });
}
