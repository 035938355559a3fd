// The records of single pending messages, from memory or from files: of one that is known, and of one that a client names
// by its id.
import { readMessageProperties } from "@cometmq/proto";
import { limits } from "../../base/index.ts";
import type { RecordView } from "../store/index.ts";
import type { PendingMessage } from "./lane.ts";
import type { DeliveryStore } from "./ports.ts";
import { readPending } from "./redelivery.ts";
import type { Subscription } from "./subscription.ts";

/** The pending message with this id; reads the records of all that is pending until it is found. */
export async function findById(
  store: DeliveryStore,
  subscription: Subscription,
  id: string,
): Promise<PendingMessage | "invalid"> {
  for (const lane of subscription.lanes) {
    const entries = lane === undefined ? [] : [...lane.pending.values()];
    for (let from = 0; from < entries.length; from += limits.readAheadCountMax) {
      const part = entries.slice(from, from + limits.readAheadCountMax);
      const records = await readPending(store, part);
      const index = records.findIndex(
        (record) =>
          record !== undefined && readMessageProperties(record.systemProperties).messageId === id,
      );
      const found = part[index];
      if (found !== undefined && found.state !== "gone") return found;
    }
  }
  return "invalid";
}

/** The record of a pending message; undefined when retention has taken it. */
export async function recordOf(
  store: DeliveryStore,
  entry: PendingMessage,
): Promise<RecordView | undefined> {
  const place = entry.lane.queue?.entries(entry.offset, 1);
  if (place !== undefined && place.count > 0) {
    const record = store.read(place.position(0), place.size(0));
    if (record !== undefined) return record;
  }
  return (await readPending(store, [entry]))[0];
}
