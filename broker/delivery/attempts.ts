// What ordered receives were given, by the id of the attempt: a client that asks again because the answer did not reach
// it gets the same messages, which its own lock would keep from it otherwise.
import { limits } from "../../base/index.ts";
import type { HandOutParts } from "./hand-out.ts";
import type { Lane, PendingMessage } from "./lane.ts";
import { isPending } from "./pending.ts";
import { readPending } from "./redelivery.ts";
import type { Delivered, ReceiveRequest } from "./request.ts";

interface Attempt {
  readonly clientId: string;
  readonly given: readonly { readonly entry: PendingMessage; readonly deliveryNumber: number }[];
}

type Parts = Pick<HandOutParts, "store" | "timeline" | "handles">;

/** The attempts of one broker; the oldest are forgotten. */
export class Attempts {
  readonly #parts: Parts;
  readonly #attempts = new Map<string, Attempt>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Notes what an attempt was given. */
  note(request: ReceiveRequest, messages: readonly Delivered[]): void {
    const key = keyOf(request);
    if (key === undefined || messages.length === 0) return;
    const given: Attempt["given"][number][] = [];
    for (const { lease, deliveryNumber } of messages) {
      if (isPending<Lane>(lease) && lease.group !== undefined) {
        given.push({ entry: lease, deliveryNumber });
      }
    }
    if (given.length === 0) return;
    this.#attempts.delete(key);
    const [oldest] = this.#attempts.keys();
    if (this.#attempts.size >= limits.attemptsRememberedMax && oldest !== undefined) {
      this.#attempts.delete(oldest);
    }
    this.#attempts.set(key, { clientId: request.clientId, given });
  }

  /**
   * What the attempt was given and nobody else has had since, with the same handles, invisible from now on anew: no
   * further delivery. Empty when there is nothing.
   */
  async again(request: ReceiveRequest): Promise<Delivered[]> {
    const key = keyOf(request);
    const attempt = key === undefined ? undefined : this.#attempts.get(key);
    if (attempt?.clientId !== request.clientId) return [];
    const entries = attempt.given.filter(isOut).map(({ entry }) => entry);
    if (entries.length === 0) return [];
    const records = await readPending(this.#parts.store, entries);
    const nowMs = this.#parts.timeline.nowMs();
    const messages: Delivered[] = [];
    for (const given of attempt.given) {
      const { entry, deliveryNumber } = given;
      const record = records[entries.indexOf(entry)];
      // Another receive or an acknowledgement may have come while the records were read.
      if (record === undefined || !isOut(given)) continue;
      entry.dueAtMs = nowMs + request.invisibleMs;
      entry.group?.changed();
      entry.lane.touch(entry);
      const { lane, offset, attempt: count } = entry;
      messages.push({
        record,
        queueId: lane.queueId,
        queueOffset: offset,
        attempt: count,
        invisibleMs: request.invisibleMs,
        receiptHandle: this.#parts.handles.encode(lane, offset, deliveryNumber),
        deliveryNumber,
        lease: entry,
      });
    }
    return messages;
  }
}

function isOut({ entry, deliveryNumber }: Attempt["given"][number]): boolean {
  return entry.state === "due" && entry.deliveryNumber === deliveryNumber && !entry.lane.dropped;
}

function keyOf({ group, topic, attemptId }: ReceiveRequest): string | undefined {
  if (attemptId === undefined || !group.consumeMessageOrderly) return undefined;
  return `${group.name}/${topic.name}/${attemptId}`;
}
