// What delayed messages have done since this reign began, for metrics. Plain numbers.

/** Counts since the reign began. */
export interface TimerCounters {
  /** Taken to be held. */
  accepted: number;
  /** Refused because too many are held. */
  refused: number;
  /** Visible copies that were put into their queues. */
  delivered: number;
  recalled: number;
  /** Groups that could not be delivered; they are tried again. */
  failures: number;
  /** Messages that could not be read when they were due. */
  unreadable: number;
}

/** All at zero. */
export function newCounters(): TimerCounters {
  return { accepted: 0, refused: 0, delivered: 0, recalled: 0, failures: 0, unreadable: 0 };
}
