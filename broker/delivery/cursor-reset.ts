// Sets the cursor of one group on one queue anywhere, also back: the one operation behind committed offsets and the
// resets of operators. What is pending then ends here, and nowhere else.
import type { Lane } from "./lane.ts";
import type { Subscription } from "./subscription.ts";

/** A lane and the subscription it is of. */
export interface ResetPlace {
  readonly subscription: Subscription;
  readonly lane: Lane;
}

/**
 * Ends all that is pending or was passed over at or behind the queue offset `from`, as if it had never been handed out: its
 * receipt handles are invalid from now on. The caller moves the cursor, so that the cursor decides whether it comes again.
 * Gives how many messages were pending.
 */
export function dropPending({ subscription, lane }: ResetPlace, from: number): number {
  let count = 0;
  subscription.orders[lane.queueId]?.cut(from);
  for (const entry of lane.pending.values()) {
    if (entry.offset < from) continue;
    lane.noteNumber(entry.deliveryNumber);
    subscription.settle(entry);
    count++;
  }
  return count;
}

/** Moves the cursor; `keepBefore`: what is pending before this queue offset stays so. Gives how many pending messages ended. */
export function resetCursor(
  place: ResetPlace,
  to: { readonly offset: number; readonly keepBefore: number },
): number {
  const { subscription, lane } = place;
  const dropped = dropPending(place, to.keepBefore);
  lane.starting = false;
  lane.resetTo(to.offset);
  subscription.lite?.restart(lane);
  subscription.makeReady(lane);
  return dropped;
}
