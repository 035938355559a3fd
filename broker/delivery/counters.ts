// What delivery has done since the process started, for metrics. Plain numbers: they are counted once a message.

/** Counts since start. */
export interface DeliveryCounters {
  /** Messages handed out, redeliveries included. */
  delivered: number;
  /** Of those, handed out not for the first time. */
  redelivered: number;
  acknowledged: number;
  /** Skipped by a filter. */
  filtered: number;
  /** Copied to a dead-letter topic. */
  deadLettered: number;
  /** Done, and made visible to their group again. */
  givenAgain: number;
  /** Pending or unseen messages that retention took first. */
  expired: number;
  /** Handed out, but the answer was not written. */
  givenBack: number;
  /** How often a queue reached the bound of pending messages. */
  pendingFull: number;
  /** Reads from files, and those that failed. */
  coldReads: number;
  coldReadFailures: number;
  /** Progress records that could not be written; they are tried again. */
  progressFailures: number;
}

/** All at zero. */
export function newCounters(): DeliveryCounters {
  return {
    delivered: 0,
    redelivered: 0,
    acknowledged: 0,
    filtered: 0,
    deadLettered: 0,
    givenAgain: 0,
    expired: 0,
    givenBack: 0,
    pendingFull: 0,
    coldReads: 0,
    coldReadFailures: 0,
    progressFailures: 0,
  };
}
