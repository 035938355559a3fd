// Entries of a consume queue: docs/format/consume-queue.md. Fixed size, so that an entry's place
// follows from its queue offset.
import { assert, type Position, position } from "../../base/index.ts";
import { getLong, setLong } from "./record.ts";

/** Bytes of one entry: position 8, size 4, tag hash 4, message-group hash 8. */
export const queueEntrySize = 24;

/** Consecutive entries `[from, from + count)` of one queue; read in place, nothing is allocated per entry. */
export class QueueEntries {
  /** Queue offset of the first entry. */
  readonly from: number;
  readonly count: number;
  readonly #view: DataView;
  readonly #start: number;

  /** `start`: byte place of the first entry in `view`. */
  constructor(
    view: DataView,
    start: number,
    range: { readonly from: number; readonly count: number },
  ) {
    assert(start + range.count * queueEntrySize <= view.byteLength, "queue entries out of bounds");
    this.#view = view;
    this.#start = start;
    this.from = range.from;
    this.count = range.count;
  }

  /** Log position of entry `index` in `[0, count)`. */
  position(index: number): Position {
    return position(getLong(this.#view, this.#start + index * queueEntrySize));
  }

  /** Size in the log of entry `index`, bytes. */
  size(index: number): number {
    return this.#view.getUint32(this.#start + index * queueEntrySize + 8);
  }

  /** Tag hash of entry `index`, see `tagHash`; 0 without a tag. */
  tagHash(index: number): number {
    return this.#view.getUint32(this.#start + index * queueEntrySize + 12);
  }

  /** Message-group hash of entry `index`; 0 without a message group. */
  messageGroupHash(index: number): number {
    return getLong(this.#view, this.#start + index * queueEntrySize + 16);
  }
}

/** What one entry says. */
export interface QueueEntry {
  readonly position: number;
  readonly size: number;
  readonly tagHash: number;
  readonly messageGroupHash: number;
}

const entriesMin = 8;

/** Entries in memory, appended at the end; grows up to `entriesMax`. Views given out stay as they were. */
export class EntryChunk {
  /** Queue offset of the first entry. */
  readonly from: number;
  count = 0;
  #bytes: Buffer;
  #view: DataView;

  constructor(from: number) {
    this.from = from;
    this.#bytes = Buffer.allocUnsafeSlow(entriesMin * queueEntrySize);
    this.#view = viewOf(this.#bytes);
  }

  /** A full chunk over bytes read from a file; shares them. */
  static over(bytes: Buffer, from: number): EntryChunk {
    const chunk = new EntryChunk(from);
    chunk.#bytes = bytes;
    chunk.#view = viewOf(bytes);
    chunk.count = Math.floor(bytes.length / queueEntrySize);
    return chunk;
  }

  /** Behind the last entry. */
  get end(): number {
    return this.from + this.count;
  }

  /** Memory taken, bytes. */
  get sizeBytes(): number {
    return this.#bytes.length;
  }

  /** Appends one entry. */
  add(entry: QueueEntry): void {
    const place = this.count * queueEntrySize;
    if (place === this.#bytes.length) this.#grow();
    setLong(this.#view, place, entry.position);
    this.#view.setUint32(place + 8, entry.size);
    this.#view.setUint32(place + 12, entry.tagHash);
    setLong(this.#view, place + 16, entry.messageGroupHash);
    this.count += 1;
  }

  /** Entries `[from, to)`, which must lie inside. */
  entries(from: number, to: number): QueueEntries {
    const start = (from - this.from) * queueEntrySize;
    return new QueueEntries(this.#view, start, { from, count: to - from });
  }

  /** The bytes of entries `[from, to)`, a view. */
  bytes(from: number, to: number): Uint8Array {
    return this.#bytes.subarray(
      (from - this.from) * queueEntrySize,
      (to - this.from) * queueEntrySize,
    );
  }

  #grow(): void {
    const bytes = Buffer.allocUnsafeSlow(this.#bytes.length * 2);
    this.#bytes.copy(bytes);
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
  }
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
