// The messages of one send that are held: delayed ones, and half messages. Made for a request that has one; others cost
// nothing.
import type { MessageView, SendResultView } from "@cometmq/proto";
import type { Appended, RecordDraft } from "../store/index.ts";
import type { LocalParts } from "./context.ts";
import { DelayedSend } from "./delayed-send.ts";
import { HalfSend } from "./half-send.ts";

/** One request that has held messages. */
export class HeldSend {
  readonly #parts: Pick<LocalParts, "timers" | "transactions">;
  readonly #delayMaxSec: number;
  #delayed: DelayedSend | undefined;
  #halves: HalfSend | undefined;

  /** `delayMaxSec`: 0 for no limit. */
  constructor(parts: Pick<LocalParts, "timers" | "transactions">, delayMaxSec: number) {
    this.#parts = parts;
    this.#delayMaxSec = delayMaxSec;
  }

  /** The draft of a message of that kind, made of what it would be if it were not held. Throws as the two below do. */
  draftOf(kind: "DELAY" | "TRANSACTION", message: MessageView, draft: RecordDraft): RecordDraft {
    if (kind === "DELAY") {
      this.#delayed ??= new DelayedSend(this.#parts, this.#delayMaxSec);
      return this.#delayed.draftOf(message, draft);
    }
    this.#halves ??= new HalfSend(this.#parts);
    return this.#halves.draftOf(message, draft);
  }

  /** To be called before the drafts are appended; one of the two below follows. Throws TOO_MANY_REQUESTS. */
  begin(): void {
    this.#halves?.begin();
    try {
      this.#delayed?.begin();
    } catch (error) {
      this.#halves?.refused();
      throw error;
    }
  }

  /** Completes the results of a request that is stored, in the order of its drafts. */
  stored(
    results: readonly SendResultView[],
    drafts: readonly RecordDraft[],
    appended: readonly Appended[],
  ): readonly SendResultView[] {
    const withHandles = this.#delayed?.stored(results, drafts, appended) ?? results;
    return this.#halves?.stored(withHandles, drafts, appended) ?? withHandles;
  }

  /** The request is not stored, or its sender is not told so. */
  refused(): void {
    this.#delayed?.refused();
    this.#halves?.refused();
  }
}
