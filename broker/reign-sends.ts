// The send window of one reign: filled from the log before sends are taken, and told of deleted topics and of what a full
// disk has taken back.
import type { Logger } from "../base/index.ts";
import type { Metadata } from "./metadata/index.ts";
import { recallSends, SendWindow, seededHash } from "./sends/index.ts";
import type { StorageOptions } from "./storage.ts";
import type { Store } from "./store/index.ts";

/** What it stands on. */
export type ReignSendsOptions = Pick<StorageOptions, "config" | "clock" | "random" | "logger">;

/** A window, kept up to date. */
export class ReignSends {
  readonly window: SendWindow;
  readonly #forget: () => void;

  private constructor(window: SendWindow, forget: () => void) {
    this.window = window;
    this.#forget = forget;
  }

  /** Reads the log's tail; undefined when the window is switched off. Throws what the disk throws. */
  static async open(
    { config, clock, random, logger }: ReignSendsOptions,
    store: Store,
    metadata: Metadata,
  ): Promise<ReignSends | undefined> {
    const { values } = config;
    if (values.sendWindowCount === 0) return undefined;
    const seeds = random.bytes(8);
    const window = new SendWindow({
      countMax: values.sendWindowCount,
      ageMs: values.sendWindowAge,
      hash: seededHash({
        seeds: [seeds.readInt32BE(0), seeds.readInt32BE(4)],
        takesAnyId: values.sendWindowAnyId,
      }),
    });
    const startedMs = clock.monotonicMs();
    await recallSends(window, store, {
      sizeBytes: values.sendWindowRebuildSize,
      sinceMs: clock.now() - values.sendWindowAge,
    });
    saidRecall(logger, window, clock.monotonicMs() - startedMs);
    store.subscribe({ tookBack: (end) => window.tookBack(end) });
    const forget = metadata.onChange((event) => {
      if (event.kind !== "topic" || event.config !== undefined) return;
      window.topicDeleted(event.name, store.end);
    });
    return new ReignSends(window, forget);
  }

  /** The reign is over. */
  close(): void {
    this.#forget();
  }
}

function saidRecall(logger: Logger, { count }: SendWindow, elapsedMs: number): void {
  if (count === 0) return;
  logger.info("repeated sends are recognized", { messages: count, elapsedMs });
}
