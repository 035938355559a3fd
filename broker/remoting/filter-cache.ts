// Parsed filters by expression: consumers send the same one with every receive.
import { limits } from "../../base/index.ts";
import { type Filter, parseFilter } from "../delivery/index.ts";

/** Filters that were asked for before. When full it starts anew. */
export class FilterCache {
  readonly #filters = new Map<string, Filter>();

  /** The filter of `expression`. Throws what `parseFilter` throws. */
  get(type: number, expression: string): Filter {
    const key = `${type} ${expression}`;
    let filter = this.#filters.get(key);
    if (filter === undefined) {
      filter = parseFilter(type, expression);
      if (this.#filters.size >= limits.filterCacheCountMax) this.#filters.clear();
      this.#filters.set(key, filter);
    }
    return filter;
  }
}
