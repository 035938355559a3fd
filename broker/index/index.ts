export type { FoundMessage } from "./index-port.ts";
export type { KeyIndex } from "./key-index.ts";
export { openKeyIndex } from "./open-index.ts";
