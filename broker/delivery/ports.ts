// What delivery asks of the store and of the metadata, and no more: tests stand on small models of these.

import type { GroupConfig, MetadataEvent, QueueProgress, TopicConfig } from "../metadata/index.ts";
import type { RecordDraft, RecordView } from "../store/index.ts";

/** Entries `[from, from + count)` of a consume queue; `i` is in `[0, count)`. */
export interface DeliveryEntries {
  readonly from: number;
  readonly count: number;
  position(i: number): number;
  size(i: number): number;
  tagHash(i: number): number;
  /** 0 without a message group. */
  messageGroupHash(i: number): number;
}

/** The consume queue of one queue of a topic. */
export interface DeliveryQueue {
  readonly topic: string;
  readonly queueId: number;
  /** Oldest queue offset that still exists. */
  readonly minOffset: number;
  /** One past the newest queue offset that may be seen. */
  readonly endOffset: number;
  /** From memory; undefined when `load` has to be asked. */
  entries(from: number, countMax: number): DeliveryEntries | undefined;
  load(from: number, countMax: number): Promise<DeliveryEntries>;
  /** First queue offset stored at or after `ms`; the end when there is none. */
  offsetByTime(ms: number): Promise<number>;
}

/** Hears what the store confirms. */
export interface DeliveryFollower {
  /** Once a queue and round. */
  arrived(queue: DeliveryQueue): void;
  /** Once a round, after all `arrived`. */
  confirmed(): void;
}

/** Names a record in the log. */
export interface RecordPlace {
  readonly position: number;
  readonly size: number;
}

/** The store as delivery uses it. */
export interface DeliveryStore {
  /** Grows with each opening, from 1; 0 before the first. */
  readonly epoch: number;
  append(group: readonly RecordDraft[]): Promise<unknown>;
  queue(topic: string, queueId: number): DeliveryQueue | undefined;
  /** From memory; undefined when `readCold` has to be asked. */
  read(position: number, size: number): RecordView | undefined;
  /** From files, in the order asked; undefined for what has expired. */
  readCold(places: readonly RecordPlace[]): Promise<readonly (RecordView | undefined)[]>;
  subscribe(follower: DeliveryFollower): unknown;
}

/** Topics and groups as delivery uses them. */
export interface DeliveryMetadata {
  readonly macKey: Uint8Array;
  topic(name: string): TopicConfig | undefined;
  topics(): Iterable<TopicConfig>;
  group(name: string): GroupConfig | undefined;
  /** Offset of the first message the queue ever had since its topic was made. */
  firstOffset(topic: string, queueId: number): number;
  ensureDeadLetterTopic(group: string): Promise<TopicConfig>;
  onChange(listener: (event: MetadataEvent) => void): () => void;
}

/** Where the progress of earlier runs comes from. */
export interface ProgressSource {
  loadProgress(): AsyncIterable<QueueProgress>;
}
