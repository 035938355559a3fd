// Single records of a queue, for operators: from memory when they are there, else from the files.
import type { RecordView } from "../../store/index.ts";
import type { RecordSource } from "./admin-context.ts";

/** The record at `offset` of a queue, or undefined when it is gone or not there yet. */
export async function recordAt(
  store: RecordSource,
  place: { readonly topic: string; readonly queueId: number; readonly offset: number },
): Promise<RecordView | undefined> {
  const queue = store.queue(place.topic, place.queueId);
  if (queue === undefined || place.offset < queue.minOffset || place.offset >= queue.endOffset) {
    return undefined;
  }
  const entries = queue.entries(place.offset, 1) ?? (await queue.load(place.offset, 1));
  if (entries.count === 0) return undefined;
  const [position, size] = [entries.position(0), entries.size(0)];
  const held = store.read(position, size);
  if (held !== undefined) return held;
  const [record] = await store.readCold([{ position, size }]);
  return record;
}

/** When the record at `offset` was stored, milliseconds since 1970; 0 when it is not there. */
export async function storeTimeAt(
  store: RecordSource,
  place: { readonly topic: string; readonly queueId: number; readonly offset: number },
): Promise<number> {
  return (await recordAt(store, place))?.storeTimeMs ?? 0;
}
