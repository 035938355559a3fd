// The half messages of one send: they are held until their transactions end.
import type { MessageView, SendResultView } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import { type Appended, type RecordDraft, RecordType } from "../store/index.ts";
import type { LocalParts } from "./context.ts";

/** One request that has transactional messages. */
export class HalfSend {
  readonly #transactions: NonNullable<LocalParts["transactions"]>;
  #count = 0;

  /** Throws HA_NOT_AVAILABLE where no transactions are held. */
  constructor({ transactions }: Pick<LocalParts, "transactions">) {
    if (transactions === undefined) {
      throw new MqError("HA_NOT_AVAILABLE", "this broker takes no transactional messages now");
    }
    this.#transactions = transactions;
  }

  /** The draft of a half message. Throws MESSAGE_PROPERTY_CONFLICT_WITH_TYPE for one that is to be delayed as well. */
  draftOf(message: MessageView, draft: RecordDraft): RecordDraft {
    if (message.deliveryTimestampMs !== undefined) {
      throw new MqError(
        "MESSAGE_PROPERTY_CONFLICT_WITH_TYPE",
        "a transactional message has no delivery timestamp: it is delivered when it is committed",
      );
    }
    this.#count += 1;
    const dueMs = this.#transactions.firstCheckAtMs(message.orphanedRecoveryMs);
    return { ...draft, type: RecordType.halfMessage, dueMs };
  }

  /** To be called before the drafts are appended; one of the two below follows. Throws TOO_MANY_REQUESTS. */
  begin(): void {
    this.#transactions.admit(this.#count);
  }

  /** Completes the results of a request that is stored, in the order of its drafts. */
  stored(
    results: readonly SendResultView[],
    drafts: readonly RecordDraft[],
    appended: readonly Appended[],
  ): readonly SendResultView[] {
    this.#transactions.settled(this.#count, "stored");
    return results.map((result, index) => {
      const [draft, place] = [drafts[index], appended[index]];
      if (draft?.type !== RecordType.halfMessage || place === undefined) return result;
      return { ...result, transactionId: this.#transactions.idOf(draft.topic, place.position) };
    });
  }

  /** The request is not stored, or its sender is not told so. */
  refused(): void {
    this.#transactions.settled(this.#count, "refused");
  }
}
