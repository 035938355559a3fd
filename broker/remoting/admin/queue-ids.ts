// Which queues of a topic operators see: those it is made with, and of a PRIORITY topic each priority that is in use.
import { deliveredQueueNums, type TopicConfig } from "../../metadata/index.ts";
import type { Store } from "../../store/index.ts";

/** Ids of the first `count` queues and of others that hold messages to be delivered, ascending. */
export function queueIdsOf(
  topic: TopicConfig,
  count: number,
  store: Pick<Store, "queue">,
): readonly number[] {
  const all = Math.max(count, deliveredQueueNums(topic));
  const ids = Array.from({ length: all }, (_unused, id) => id);
  return ids.filter((id) => id < count || store.queue(topic.name, id) !== undefined);
}
