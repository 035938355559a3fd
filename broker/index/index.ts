export { type IndexSource, indexFolder } from "./index-level.ts";
export type { FoundMessage, IndexPort, IndexQuery, IndexStart } from "./index-port.ts";
export { Indexer, type IndexLog } from "./indexer.ts";
export { type IndexedStore, KeyIndex, type KeyIndexOptions } from "./key-index.ts";
export { openKeyIndex } from "./open-index.ts";
