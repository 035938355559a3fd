// What stands between the broker and whoever builds the index: in a worker thread, or in the same one.

/** A question to the index. */
export interface IndexQuery {
  readonly topic: string;
  readonly by: { readonly key: string } | { readonly id: string };
  /** Stored in `[beginMs, endMs]`, milliseconds since 1970. */
  readonly beginMs: number;
  readonly endMs: number;
  /** Most answers wanted. */
  readonly countMax: number;
}

/** Where the index found a message. */
export interface FoundMessage {
  /** Byte place in the commit log. */
  readonly position: number;
  /** Bytes in the commit log. */
  readonly size: number;
}

/** The part of the log that may be read. */
export interface IndexTarget {
  /** First byte kept. */
  readonly start: number;
  /** End of the confirmed records. */
  readonly end: number;
}

/** What one step of indexing did. */
export interface IndexProgress {
  /** Everything before it is in the index. */
  readonly position: number;
  /** Time the step took, milliseconds. */
  readonly busyMs: number;
}

/** Builds an index and answers from it. Calls may overlap, but only one `advance` at a time. */
export interface IndexPort {
  /** Indexes a bounded part of what is missing up to `target.end`, and forgets what lies before its start. */
  advance(target: IndexTarget): Promise<IndexProgress>;
  /** What was found in the indexed part of the log, newest first. */
  query(query: IndexQuery): Promise<readonly FoundMessage[]>;
  /** Ends; nothing may be called any more. */
  close(): Promise<void>;
}

/** What a new port has to know of the log. */
export interface IndexStart extends IndexTarget {
  /** Every epoch and where it starts, ascending. */
  readonly epochs: readonly { readonly epoch: number; readonly position: number }[];
}
