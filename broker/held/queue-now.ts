// Which queue a held message enters when it becomes visible: the topic may have another number of queues by then than when
// the message came.
import type { Metadata } from "../metadata/index.ts";
import type { RecordDraft } from "../store/index.ts";

/** What that depends on. */
export interface QueuesNow {
  readonly metadata: Pick<Metadata, "topic">;
  /** The queue of a message group, by its hash, among so many. */
  readonly queueOfGroup: (hash: number, queueCount: number) => number;
}

/** The queue of its message group as the topic is now, or the one that was chosen, as far as there is one of that number. */
export function queueNow(
  { metadata, queueOfGroup }: QueuesNow,
  message: Pick<RecordDraft, "topic" | "queueId" | "messageGroupHash">,
): number {
  const { queueId, messageGroupHash: hash = 0 } = message;
  const queueCount = metadata.topic(message.topic)?.writeQueueNums ?? 1;
  return hash > 0 ? queueOfGroup(hash, queueCount) : queueId % queueCount;
}
