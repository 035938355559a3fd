// Parsed filters by expression: consumers send the same one with every receive.
import { limits } from "../../base/index.ts";
import { type Filter, parseFilter } from "../delivery/index.ts";

/** Filters that were asked for before. When full it starts anew. */
export class FilterCache {
  readonly #filters = new Map<string, Filter>();
  #length = 0;

  /** The filter of `expression`. Throws what `parseFilter` throws. */
  get(type: number, expression: string): Filter {
    const key = `${type} ${expression}`;
    let filter = this.#filters.get(key);
    if (filter === undefined) {
      filter = parseFilter(type, expression);
      if (this.#isFull(key)) this.#clear();
      this.#filters.set(key, filter);
      this.#length += key.length;
    }
    return filter;
  }

  #isFull(key: string): boolean {
    const isFull = this.#filters.size >= limits.filterCacheCountMax;
    return isFull || this.#length + key.length > limits.filterCacheLengthMax;
  }

  #clear(): void {
    this.#filters.clear();
    this.#length = 0;
  }
}
