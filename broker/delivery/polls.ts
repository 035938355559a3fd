// Held long polls: receives and pulls that found nothing and wait. Each ends exactly once.
import { limits, MqError } from "../../base/index.ts";
import type { Delivered, ReceiveRequest } from "./request.ts";
import type { Alarm, Timeline } from "./timeline.ts";

/** Who waits, and what ends that. */
export interface Waiting {
  readonly group: { readonly name: string };
  readonly clientId: string;
  readonly signal: AbortSignal;
}

/** One held poll. */
export interface Poll<Request extends Waiting = ReceiveRequest, Item = Delivered> {
  readonly request: Request;
  /** Ends it with what it waited for, or with none. */
  end(items: readonly Item[]): void;
  /** Ends it with an error. */
  fail(error: Error): void;
}

interface HeldPoll<Request extends Waiting, Item> extends Poll<Request, Item> {
  readonly alarm: Alarm;
}

/** Polls that wait for the same, first come first served. */
export class PollQueue<Request extends Waiting = ReceiveRequest, Item = Delivered> {
  // A set keeps the order in which items came and lets any one go in O(1).
  readonly #polls = new Set<Poll<Request, Item>>();

  get count(): number {
    return this.#polls.size;
  }

  /** The one that waits longest. */
  first(): Poll<Request, Item> | undefined {
    for (const poll of this.#polls) return poll;
    return undefined;
  }

  all(): Iterable<Poll<Request, Item>> {
    return this.#polls;
  }

  add(poll: Poll<Request, Item>): void {
    this.#polls.add(poll);
  }

  remove(poll: Poll<Request, Item>): void {
    this.#polls.delete(poll);
  }
}

/** All held polls of the broker: their deadlines, their abort signals, and who holds them. */
export class PollTable {
  readonly #timeline: Timeline;
  readonly #byClient = new Map<string, Set<Poll<Waiting, never>>>();
  readonly #countMax: number;
  #count = 0;

  constructor(timeline: Timeline, countMax: number = limits.heldPollsMax) {
    this.#timeline = timeline;
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#count;
  }

  /** Holds a poll in `queue` until it is ended by somebody, or empty by its deadline or abort. Throws TOO_MANY_REQUESTS. */
  hold<Request extends Waiting, Item>(
    queue: PollQueue<Request, Item>,
    request: Request,
    pollingMs: number,
  ): Promise<readonly Item[]> {
    if (this.#count >= this.#countMax) {
      const held = `${this.#count} polls are held already`;
      throw new MqError("TOO_MANY_REQUESTS", `${held}: ask again later`);
    }
    return new Promise((resolve, reject) => {
      const { signal } = request;
      const leave = (): boolean => {
        if (alarm.heapIndex === ended) return false;
        this.#timeline.cancel(alarm);
        alarm.heapIndex = ended;
        signal.removeEventListener("abort", onAbort);
        queue.remove(poll);
        this.#forget(poll);
        return true;
      };
      const poll: HeldPoll<Request, Item> = {
        request,
        alarm: { dueAtMs: 0, heapIndex: -1, ring: () => poll.end([]) },
        end: (items) => void (leave() && resolve(items)),
        fail: (error) => void (leave() && reject(error)),
      };
      const { alarm } = poll;
      const onAbort = (): void => poll.end([]);
      signal.addEventListener("abort", onAbort);
      queue.add(poll);
      this.#remember(poll);
      this.#timeline.set(alarm, this.#timeline.nowMs() + pollingMs);
    });
  }

  /** Ends all polls of a client empty, or those of one group. */
  endOf(clientId: string, group?: string): void {
    for (const poll of this.#byClient.get(clientId) ?? []) {
      if (group === undefined || poll.request.group.name === group) poll.end([]);
    }
  }

  /** Ends all polls empty. */
  endAll(): void {
    for (const polls of this.#byClient.values()) for (const poll of polls) poll.end([]);
  }

  #remember(poll: Poll<Waiting, never>): void {
    const { clientId } = poll.request;
    const polls = this.#byClient.get(clientId);
    if (polls === undefined) this.#byClient.set(clientId, new Set([poll]));
    else polls.add(poll);
    this.#count++;
  }

  #forget(poll: Poll<Waiting, never>): void {
    const { clientId } = poll.request;
    const polls = this.#byClient.get(clientId);
    if (polls?.delete(poll) === true) this.#count--;
    if (polls?.size === 0) this.#byClient.delete(clientId);
  }
}

/** `heapIndex` of the alarm of a poll that has ended. */
const ended = -2;
