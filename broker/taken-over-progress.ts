// Takes into a master's log what an acting master has noted of consumers.
import { limits } from "../base/index.ts";
import { missingProgress, type NotedProgress, notedUpTo } from "./ha/index.ts";
import {
  encodeProgress,
  type ProgressChange,
  type QueueProgress,
  type StateStore,
} from "./metadata/index.ts";
import { RecordType, type Store } from "./store/index.ts";

const nothing = new Uint8Array(0);
const emptyDraft = {
  type: RecordType.progress,
  topic: "",
  queueId: -1,
  systemProperties: nothing,
  userProperties: nothing,
};

/** Appends what the notes of an acting master add to the state, and waits until it is applied. */
export async function takeOver(
  store: Store,
  state: StateStore,
  noted: NotedProgress,
): Promise<void> {
  const known = new Map<object, QueueProgress>();
  for await (const progress of state.loadProgress()) {
    const lane = noted.get(progress);
    if (lane !== undefined) known.set(lane, progress);
  }
  let changes: ProgressChange[] = [];
  let entryCount = 0;
  const write = async (): Promise<void> => {
    const body = encodeProgress(changes);
    changes = [];
    entryCount = 0;
    await store.append([{ ...emptyDraft, body }]);
  };
  for (const lane of noted.all()) {
    // A slave that has more than this log may have noted what will be other messages here.
    const end = store.queue(lane.topic, lane.queueId)?.endOffset ?? 0;
    const change = missingProgress(known.get(lane), notedUpTo(lane, end));
    if (change === undefined) continue;
    changes.push(change);
    entryCount += change.upserts.length + change.removals.length + 4;
    if (entryCount * 12 > limits.progressRecordSizeMax) await write();
  }
  if (changes.length > 0) await write();
}
