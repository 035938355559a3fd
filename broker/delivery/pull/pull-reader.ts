// Reads consecutive messages of a queue for a pull: bounded in messages, bytes and entries looked at, and few at a time
// at the disk. Changes nothing.
import { limits } from "../../../base/index.ts";
import type { RecordView } from "../../store/index.ts";
import { type Filter, matches, passesHash, scanCountMax } from "../filter.ts";
import { Fifo } from "../order/fifo.ts";
import type { DeliveryEntries, DeliveryQueue, DeliveryStore, RecordPlace } from "../ports.ts";

/** A message as it is in its queue. */
export interface PulledMessage {
  /** Its views stay valid as long as somebody holds them. */
  readonly record: RecordView;
  readonly queueOffset: number;
}

/** What to read. */
export interface ReadWish {
  readonly queue: DeliveryQueue;
  /** In `[queue.minOffset, queue.endOffset)`. */
  readonly from: number;
  /** From 1. */
  readonly countMax: number;
  readonly filter: Filter;
}

/** Messages in their order, and the offset behind all that was looked at. */
export interface ReadPart {
  readonly messages: readonly PulledMessage[];
  readonly nextOffset: number;
}

/** Places of messages that may match, and the offset behind what was looked at for them. */
interface Choice {
  readonly places: readonly (RecordPlace & { readonly offset: number })[];
  readonly end: number;
  readonly sizeBytes: number;
}

/** What is left of one read. */
interface Budget {
  count: number;
  sizeBytes: number;
  entries: number;
}

/** Reads for all pulls of a broker. */
export class PullReader {
  readonly #store: Pick<DeliveryStore, "read" | "readCold">;
  readonly #waiting = new Fifo<() => void>();
  #readsUnderWay = 0;

  constructor(store: Pick<DeliveryStore, "read" | "readCold">) {
    this.#store = store;
  }

  /** At least one message if the first entries that are looked at have one, however large it is. Throws what the store throws. */
  async read({ queue, from, countMax, filter }: ReadWish): Promise<ReadPart> {
    const messages: PulledMessage[] = [];
    const left: Budget = {
      count: countMax,
      sizeBytes: limits.pullSizeBytesMax,
      entries: scanCountMax(filter),
    };
    let at = from;
    while (left.entries > 0 && left.count > 0 && left.sizeBytes > 0 && at < queue.endOffset) {
      const entries =
        queue.entries(at, left.entries) ??
        (await this.#inTurn(() => queue.load(at, limits.queueReadCount)));
      if (entries.count === 0) break;
      const choice = choose(entries, filter, left);
      // The next message does not fit beside those that are there.
      if (choice.end === entries.from) break;
      const records = await this.#records(choice.places);
      for (const [index, { offset }] of choice.places.entries()) {
        const record = records[index];
        // Expired meanwhile, or another tag with the same hash.
        if (record === undefined || !matches(filter, record)) continue;
        messages.push({ record, queueOffset: offset });
        left.count--;
      }
      left.entries -= choice.end - entries.from;
      left.sizeBytes -= choice.sizeBytes;
      at = choice.end;
    }
    return { messages, nextOffset: at };
  }

  async #records(places: readonly RecordPlace[]): Promise<readonly (RecordView | undefined)[]> {
    const held: RecordView[] = [];
    for (const { position, size } of places) {
      const record = this.#store.read(position, size);
      if (record === undefined) return await this.#inTurn(() => this.#store.readCold(places));
      held.push(record);
    }
    return held;
  }

  async #inTurn<T>(read: () => Promise<T>): Promise<T> {
    if (this.#readsUnderWay < limits.pullReadsAtOnceMax) this.#readsUnderWay++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await read();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#readsUnderWay--;
      else next();
    }
  }
}

function choose(entries: DeliveryEntries, filter: Filter, left: Budget): Choice {
  const places = [];
  const isFirst = left.sizeBytes === limits.pullSizeBytesMax;
  let sizeBytes = 0;
  let i = 0;
  for (; i < entries.count && i < left.entries && places.length < left.count; i++) {
    if (!passesHash(filter, entries.tagHash(i))) continue;
    const size = entries.size(i);
    if (sizeBytes + size > left.sizeBytes && !(isFirst && places.length === 0)) break;
    sizeBytes += size;
    places.push({ offset: entries.from + i, position: entries.position(i), size });
  }
  return { places, end: entries.from + i, sizeBytes };
}
