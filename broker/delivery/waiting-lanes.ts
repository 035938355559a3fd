// Lanes at the bound of what is pending in the whole broker. Anybody may make room there, so that nobody in particular
// can tell them: they are looked at now and then.
import { limits } from "../../base/index.ts";
import type { Lane } from "./lane.ts";
import type { Subscription } from "./subscription.ts";
import type { Alarm, Timeline } from "./timeline.ts";

/** Lanes that wait for room in the whole broker: looked at again every now and then, since anybody may make it. */
export class WaitingLanes {
  readonly #timeline: Timeline;
  readonly #wake: (subscription: Subscription) => void;
  readonly #waiting = new Map<Lane, Subscription>();
  readonly #alarm: Alarm = { dueAtMs: 0, heapIndex: -1, ring: () => this.#look() };

  constructor(parts: {
    readonly timeline: Timeline;
    wake(subscription: Subscription): void;
  }) {
    this.#timeline = parts.timeline;
    this.#wake = (subscription) => parts.wake(subscription);
  }

  /** Lets `lane`, which is full, go on when there is room. */
  add(lane: Lane, subscription: Subscription): void {
    this.#waiting.set(lane, subscription);
    this.#arm();
  }

  #arm(): void {
    if (this.#alarm.heapIndex >= 0) return;
    this.#timeline.set(this.#alarm, this.#timeline.nowMs() + limits.pendingRoomLookMs);
  }

  #look(): void {
    let left = Math.min(this.#waiting.size, limits.pendingRoomLooksMax);
    for (const [lane, subscription] of this.#waiting) {
      if (left-- === 0) break;
      this.#waiting.delete(lane);
      if (lane.dropped || !lane.full) continue;
      subscription.goOn(lane);
      // Others have their turn first.
      if (lane.full) this.#waiting.set(lane, subscription);
      if (lane.hasRoom) this.#wake(subscription);
    }
    if (this.#waiting.size > 0) this.#arm();
  }
}
