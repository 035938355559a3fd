// What the broker and the worker thread of its index say to each other.
import type {
  FoundMessage,
  IndexProgress,
  IndexQuery,
  IndexStart,
  IndexTarget,
} from "./index-port.ts";

/** What the worker is started with. */
export interface WorkerStart {
  /** Folder of the commit log's segments. */
  readonly logFolder: string;
  /** Folder of the index's database. */
  readonly indexFolder: string;
  readonly start: IndexStart;
}

/** A call; it is answered with its number. */
export type WorkerRequest =
  | { readonly number: number; readonly kind: "advance"; readonly target: IndexTarget }
  | { readonly number: number; readonly kind: "query"; readonly query: IndexQuery }
  | { readonly number: number; readonly kind: "close" };

/** An answer, or why there is none. */
export type WorkerAnswer =
  | { readonly number: number; readonly progress: IndexProgress }
  | { readonly number: number; readonly found: readonly FoundMessage[] }
  | { readonly number: number; readonly closed: true }
  | { readonly number: number; readonly failure: string };
