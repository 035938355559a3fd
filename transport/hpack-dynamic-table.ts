// The dynamic table of an HPACK decoder: a ring of fields, newest first, bounded by their sizes.
import type { HeaderField } from "./header-field.ts";

/** Dynamic table; nothing is allocated before the first insertion. */
export class HpackDynamicTable {
  #ring: (HeaderField | undefined)[] = [];
  /** Place of the newest field. */
  #newest = 0;
  #count = 0;
  #size = 0;
  #sizeMax: number;
  readonly #sizeLimit: number;
  #version = 0;

  /** `sizeLimit` bounds what the peer may choose with size updates. */
  constructor(sizeLimit: number) {
    this.#sizeLimit = sizeLimit;
    this.#sizeMax = sizeLimit;
  }

  /** Grows by one with each change. */
  get version(): number {
    return this.#version;
  }

  /** The field at `index`, 0 being the newest; undefined beyond the end. */
  get(index: number): HeaderField | undefined {
    if (index >= this.#count) return undefined;
    return this.#ring[(this.#newest - index) & (this.#ring.length - 1)];
  }

  /** Changes the bound; false when it is above the limit. */
  resize(sizeMax: number): boolean {
    if (sizeMax > this.#sizeLimit) return false;
    this.#sizeMax = sizeMax;
    this.#version += 1;
    this.#evict();
    return true;
  }

  /** Adds a field as the newest; one that is larger than the table empties it. */
  insert(field: HeaderField): void {
    this.#version += 1;
    if (this.#count === this.#ring.length) this.#grow();
    this.#newest = (this.#newest + 1) & (this.#ring.length - 1);
    this.#ring[this.#newest] = field;
    this.#count += 1;
    this.#size += field.size;
    this.#evict();
  }

  #evict(): void {
    while (this.#size > this.#sizeMax) {
      const oldest = (this.#newest - this.#count + 1) & (this.#ring.length - 1);
      this.#size -= this.#ring[oldest]?.size ?? 0;
      this.#ring[oldest] = undefined;
      this.#count -= 1;
    }
  }

  #grow(): void {
    const old = this.#ring;
    const size = Math.max(8, old.length * 2);
    const ring: (HeaderField | undefined)[] = Array.from({ length: size });
    for (let index = 0; index < this.#count; index += 1) {
      ring[size - 1 - index] = old[(this.#newest - index) & (old.length - 1)];
    }
    this.#ring = ring;
    this.#newest = size - 1;
  }
}
