// What transactions have come to since this reign began, for metrics. Plain numbers.

/** Counts since the reign began. */
export interface TransactionCounters {
  /** Half messages taken. */
  accepted: number;
  /** Refused because too many are open. */
  refused: number;
  committed: number;
  rolledBack: number;
  /** Questions that went to a producer. */
  checked: number;
  /** Moved to `TRANS_CHECK_MAX_TIME_TOPIC`. */
  givenUp: number;
  /** Checks whose outcome could not be written; they are made again. */
  failures: number;
  /** Half messages that could not be read when they were to be checked. */
  unreadable: number;
}

/** All at zero. */
export function newCounters(): TransactionCounters {
  return {
    accepted: 0,
    refused: 0,
    committed: 0,
    rolledBack: 0,
    checked: 0,
    givenUp: 0,
    failures: 0,
    unreadable: 0,
  };
}
