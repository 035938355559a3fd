// Brings a consume queue to the place of a record that is about to enter it from a log that exists already.
import { MqError } from "../../base/index.ts";
import type { ConsumeQueue } from "./consume-queue.ts";
import type { RecordView } from "./record.ts";

/** Lets `queue` go on at the record's offset when all before it has expired. Throws CORRUPT when the record is not the next one. */
export function continueQueue(queue: ConsumeQueue, record: RecordView): void {
  const { queueOffset } = record;
  if (queueOffset === queue.nextOffset) return;
  if (queueOffset > queue.nextOffset && queue.minOffset === queue.nextOffset) {
    queue.continueAt(queueOffset);
    return;
  }
  const { topic, queueId, position } = record;
  throw new MqError(
    "CORRUPT",
    `the record at position ${position} is message ${queueOffset} of ${topic}/${queueId}, but ${queue.nextOffset} comes next`,
    { facts: { topic, queueId, queueOffset, position } },
  );
}
