// What a consumer group has done on one queue, as the state keeps it. Absolute values only, so that
// applying a change twice is the same as applying it once.

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
  /** Bits that delivery gives a meaning to, `[0, 2^31 - 1]`. */
  readonly flags: number;
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
