// Fills the send window from the tail of the log, when a broker becomes master.
import { readMessageProperties } from "@cometmq/proto";
import { decodeMetadataChange } from "../metadata/index.ts";
import { RecordType, type RecordView, type Store, sentFlag } from "../store/index.ts";
import type { SendWindow } from "./send-window.ts";

/** Types of what clients send; the broker's own copies, which may carry the same flags, are of others. */
const sentTypes: ReadonlySet<number> = new Set([
  RecordType.message,
  RecordType.delayedMessage,
  RecordType.halfMessage,
]);

/**
 * Reads the last `sizeBytes` of the log, confirmed up to its end, for messages stored at `sinceMs` or later. Throws
 * CORRUPT, with the window filled up to there, and what the disk throws.
 */
export async function recallSends(
  window: SendWindow,
  store: Pick<Store, "scanTail">,
  { sizeBytes, sinceMs }: { readonly sizeBytes: number; readonly sinceMs: number },
): Promise<void> {
  for await (const records of store.scanTail(sizeBytes)) {
    for (const record of records) take(window, record, sinceMs);
  }
}

function take(window: SendWindow, record: RecordView, sinceMs: number): void {
  if (record.type === RecordType.metadata) {
    const change = decodeMetadataChange(record.body);
    if (change.kind === "deleteTopic") window.topicDeleted(change.name, record.position);
    return;
  }
  if ((record.flags & sentFlag) === 0 || !sentTypes.has(record.type)) return;
  if (record.storeTimeMs < sinceMs) return;
  window.recall(record, readMessageProperties(record.systemProperties).messageId);
}
