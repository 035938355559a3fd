// Why a store takes no record.
import { MqError } from "../../base/index.ts";
import { isHeld, type RecordDraft, RecordType } from "./record.ts";

/** The life of a store: `following` copies a master, `begun` is one. */
export type StoreState = "open" | "following" | "begun" | "closing" | "closed";

/** Why nothing is appended in this state of its life. */
export function stateRefusal(state: StoreState): MqError | undefined {
  if (state === "begun") return undefined;
  if (state === "following") {
    return new MqError("NOT_MASTER", "this broker copies its master and takes no messages");
  }
  return new MqError("SHUTTING_DOWN", "the store takes no records now");
}

/** Whether clients send it: at the watermark that is refused; what the broker notes itself still fits. */
export function isClients(draft: RecordDraft): boolean {
  return draft.type === RecordType.message || isHeld(draft.type);
}

/** Nothing of what was under way is stored. */
export function diskFull(folder: string, cause: unknown): MqError {
  return new MqError("DISK_FULL", "no space left on the disk: nothing was stored", {
    cause,
    facts: { folder },
  });
}
