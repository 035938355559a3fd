// The delayed messages of one send: those whose time has not come are held, and may be recalled.
import type { MessageView, SendResultView } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import { type Appended, type RecordDraft, RecordType } from "../store/index.ts";
import type { LocalParts } from "./context.ts";

/** One request that has delayed messages. */
export class DelayedSend {
  readonly #timers: NonNullable<LocalParts["timers"]>;
  readonly #delayMaxSec: number;
  readonly #nowMs: number;
  #heldCount = 0;

  /** `delayMaxSec`: 0 for no limit. Throws HA_NOT_AVAILABLE where nothing is held. */
  constructor({ timers }: Pick<LocalParts, "timers">, delayMaxSec: number) {
    if (timers === undefined) {
      throw new MqError("HA_NOT_AVAILABLE", "this broker takes no delayed messages now");
    }
    this.#timers = timers;
    this.#delayMaxSec = delayMaxSec;
    this.#nowMs = timers.nowMs();
  }

  /**
   * The draft of a delayed message, made of what it would be if it were not delayed, which it is when its time has
   * come. Throws ILLEGAL_DELIVERY_TIME.
   */
  draftOf(message: MessageView, draft: RecordDraft): RecordDraft {
    const dueMs = message.deliveryTimestampMs ?? 0;
    this.#check(dueMs);
    if (dueMs <= this.#nowMs) return draft;
    this.#heldCount += 1;
    return { ...draft, type: RecordType.delayedMessage, dueMs };
  }

  /** To be called before the drafts are appended; one of the two below follows. Throws TOO_MANY_REQUESTS. */
  begin(): void {
    this.#timers.admit(this.#heldCount);
  }

  /** Completes the results of a request that is stored, in the order of its drafts. */
  stored(
    results: readonly SendResultView[],
    drafts: readonly RecordDraft[],
    appended: readonly Appended[],
  ): readonly SendResultView[] {
    this.#timers.settled(this.#heldCount, "stored");
    return results.map((result, index) => {
      const [draft, place] = [drafts[index], appended[index]];
      if (draft?.type !== RecordType.delayedMessage || place === undefined) return result;
      const recallHandle = this.#timers.handleOf(draft.topic, draft.dueMs ?? 0, place.position);
      return { ...result, recallHandle };
    });
  }

  /** The request is not stored, or its sender is not told so. */
  refused(): void {
    this.#timers.settled(this.#heldCount, "refused");
  }

  #check(dueMs: number): void {
    if (dueMs < limits.timestampMinMs || dueMs > limits.timestampMaxMs) {
      throw new MqError(
        "ILLEGAL_DELIVERY_TIME",
        `the delivery timestamp is ${Math.floor(dueMs / 1000)} s since 1970, outside the years 1 to 9999; ` +
          "the field counts seconds",
      );
    }
    const aheadSec = (dueMs - this.#nowMs) / 1000;
    if (this.#delayMaxSec === 0 || aheadSec <= this.#delayMaxSec) return;
    throw new MqError(
      "ILLEGAL_DELIVERY_TIME",
      `the delivery timestamp is ${Math.ceil(aheadSec)} s ahead, at most ${this.#delayMaxSec} s are allowed (timerMaxDelaySec)`,
    );
  }
}
