// What the state needs of the store: a log that it follows, and the queues it names.
import type { Position } from "../../base/index.ts";
import type { Appended, EpochStart, RecordDraft } from "../store/index.ts";
import type { QueueEnd } from "./metadata-codec.ts";

/** What the state reads of a record. */
export interface LoggedRecord {
  /** One of `RecordType`. */
  readonly type: number;
  readonly epoch: number;
  readonly position: Position;
  /** Bytes in the log. */
  readonly size: number;
  readonly topic: string;
  /** Of a held message: when it is due, milliseconds since 1970. */
  readonly dueMs: number;
  /** A view: copied where it is kept. */
  readonly body: Uint8Array;
}

/** What the log tells, see `StoreFollower`. */
export interface LogFollower {
  apply(record: LoggedRecord): void;
  confirmed(position: number): void;
}

/** What the state asks of a consume queue. */
export interface LoggedQueue {
  readonly topic: string;
  readonly queueId: number;
  readonly minOffset: number;
  /** Behind the last confirmed message. */
  readonly endOffset: number;
  /** Behind the last appended message. */
  readonly nextOffset: number;
}

/** The log that the state is derived from: a `Store`, or a simulated one. */
export interface StateLog {
  /** First byte kept. */
  readonly start: Position;
  readonly end: Position;
  /** Every epoch and where it starts, ascending. */
  readonly epochs: readonly EpochStart[];
  /** See `Store.append`. */
  append(group: readonly RecordDraft[]): Promise<readonly Appended[]>;
  /** Every record from the one at `from` to the end. */
  scan(from: Position): AsyncIterable<readonly LoggedRecord[]>;
  subscribe(follower: LogFollower): void;
  /** Resolves when everything before `position` survives a power cut. */
  flushTo(position: Position): Promise<void>;
  queues(): Iterable<LoggedQueue>;
  /** Drops the queues of a topic, which ended at `ends` when it was deleted. */
  deleteTopic(topic: string, ends: readonly QueueEnd[]): void;
}
