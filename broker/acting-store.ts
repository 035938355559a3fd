// The store as delivery uses it at an acting master: reads are the slave's log, progress goes to the overlay, and what
// needs a new message waits for the master.
import { MqError } from "../base/index.ts";
import type { DeliveryStore, ProgressSource } from "./delivery/index.ts";
import { joinedProgress, type NotedProgress, type OverlayFile } from "./ha/index.ts";
import { decodeProgress, type ProgressChange, type QueueProgress } from "./metadata/index.ts";
import { type RecordDraft, RecordType, type Store } from "./store/index.ts";

/** What delivery appends while a slave acts. */
export function actingStore(store: Store, overlay: OverlayFile): DeliveryStore {
  return {
    // Handles of the acting master lie between those of its master's reign and the next one's.
    get epoch() {
      return store.epoch + 0.5;
    },
    append: (group) => note(group, overlay),
    queue: (topic, queueId) => store.queue(topic, queueId),
    read: (position, size) => store.read(position, size),
    readCold: (places) => store.readCold(places),
    subscribe: (follower) => store.subscribe(follower),
  };
}

/** The progress that a slave's state has, with what it has noted while it acted before. */
export function overlaidProgress(source: ProgressSource, noted: NotedProgress): ProgressSource {
  return { loadProgress: () => overlaid(source, noted) };
}

async function* overlaid(
  source: ProgressSource,
  noted: NotedProgress,
): AsyncGenerator<QueueProgress> {
  const seen = new Set<object>();
  for await (const known of source.loadProgress()) {
    const lane = noted.get(known);
    if (lane !== undefined) seen.add(lane);
    yield joinedProgress(known, lane);
  }
  for (const lane of noted.all()) {
    if (seen.has(lane)) continue;
    const { group, topic, queueId } = lane;
    yield joinedProgress({ group, topic, queueId, cursor: 0, pending: [] }, lane);
  }
}

async function note(group: readonly RecordDraft[], overlay: OverlayFile): Promise<void> {
  const changes: ProgressChange[] = [];
  for (const draft of group) {
    if (draft.type !== RecordType.progress) {
      throw new MqError(
        "HA_NOT_AVAILABLE",
        "this broker acts for its master and takes no messages: a dead letter waits for the master",
      );
    }
    changes.push(...decodeProgress(draft.body));
  }
  await overlay.append(changes);
}
