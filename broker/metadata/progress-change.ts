// What a consumer group has done on one queue, as the state keeps it. Absolute values only, so that
// applying a change twice is the same as applying it once.

/** Bits of `PendingEntry.flags`. */
export const pendingFlags = {
  /** It stays invisible for a client that is alive. */
  renewing: 1,
  /** It is done, and stands for messages of its message group that were passed over behind it. */
  anchor: 2,
} as const;

/** A message that was handed out and is not acknowledged yet. */
export interface PendingEntry {
  /** Queue offset of the message. */
  readonly offset: number;
  /** Which delivery this is, from 1. */
  readonly attempt: number;
  /** Milliseconds since 1970; from then on it may be handed out again. */
  readonly visibleAtMs: number;
  /** Which handing out of this queue to this group it was; part of the receipt handle. */
  readonly deliveryNumber: number;
  /** Of `pendingFlags`. */
  readonly flags: number;
  /** Of a message that holds back others of its message group; undefined when order does not matter. */
  readonly order?: PendingOrder | undefined;
}

/** What of a message group is known with one of its pending messages. */
export interface PendingOrder {
  /** Hash of the message group, as in the consume queue; 0 is what has none. */
  readonly messageGroupHash: number;
  /** Messages of the group at this queue offset and behind have not been handed out yet. */
  readonly from: number;
}

/** The change of one queue in a progress record. */
export interface ProgressChange {
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  /** The next queue offset to look at. */
  readonly cursor: number;
  /** New or changed pending messages, any order. */
  readonly upserts: readonly PendingEntry[];
  /** Queue offsets that are pending no more; those that never were do no harm. */
  readonly removals: readonly number[];
}

/** All that is known of one group on one queue. */
export interface QueueProgress {
  readonly group: string;
  readonly topic: string;
  readonly queueId: number;
  readonly cursor: number;
  /** By offset, ascending. */
  readonly pending: readonly PendingEntry[];
}
