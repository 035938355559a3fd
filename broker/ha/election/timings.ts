// The times and bounds of elections in one place; docs/election.md says what follows from them.

export const timings = {
  /** Clocks of two machines may differ in rate by so much: one of them may count 1.1 s while the other counts 1. */
  clockRateRatioMax: 1.1,
  /** A master stops this much before its lease might be over, milliseconds: for what is between asking and answering. */
  serveMarginMs: 100,
  /** Renewals in the life of a lease. */
  renewalsPerLease: 5,
  /** A renewal, or asking for a lease, that is not answered by then is given up and sent anew, as a part of the lease. */
  renewalTimeoutRatio: 0.3,
  /** Any other call to etcd, milliseconds. */
  callTimeoutMs: 1_000,
  /** A call that has failed is repeated after so long, milliseconds. */
  retryMs: 100,
  /** The group is read at least this often, also when the watch says nothing, milliseconds. */
  pollMs: 500,
  /** Before the first record of a group is made, its members get so long to appear, milliseconds. */
  firstElectionWindowMs: 300,
  /** Candidates wait so long for the log ends of each other, milliseconds. */
  candidateWindowMs: 100,
  /** The second best candidate waits so long for the best, the third twice as long, …, milliseconds. */
  rankStepMs: 100,
  /** A broker that could not become master lets others try for so long, milliseconds. */
  restMs: 5_000,
  /** A hand-over that etcd does not answer is given up after so long, milliseconds. */
  handOverMaxMs: 3_000,
  /** Failed calls of one kind are logged at most this often, milliseconds. */
  reportEveryMs: 5_000,
  /** Sockets to one etcd member. More calls wait. */
  etcdSocketCountMax: 16,
  /** An answer of etcd, bytes. A longer one is a failure of that member. */
  etcdAnswerSizeMax: 4_194_304,
  /** A watch whose machine is gone is noticed by TCP from then on, milliseconds. */
  etcdKeepAliveMs: 5_000,
} as const;
