// Bugs that simulation has found, each with the code that mends it and a seed that fails without that code.

/** One bug. */
export interface Mending {
  /** What happened. */
  readonly what: string;
  /** The seed that shows it; undefined while none is known. */
  readonly seed?: number;
  readonly file: string;
  /** The code that mends it, as it stands in the file, and what stands there without it. Every place is changed. */
  readonly code: string;
  readonly instead: string;
}

/** All that can be taken out with a few words. */
export const mendings: readonly Mending[] = [
  {
    what: "a master that lost its slaves while retention waited for a snapshot could neither step down nor stop",
    seed: 12,
    file: "broker/store/upkeep.ts",
    code: "await Promise.race([this.hook.snapshot(below), this.#whenStopped])",
    instead: "await this.hook.snapshot(below)",
  },
  {
    what: "a master with a new disk that reached etcd before the others was elected, and the others cut everything",
    seed: 67,
    file: "broker/ha/election/candidacy.ts",
    code: "&& isTrusted(member, record, group)",
    instead: "",
  },
  {
    what: "a slave that acted and followed its master again gave consumers what the master had given already",
    file: "broker/fixed-role.ts",
    code: "else if (word !== undefined) this.#tickSlave();",
    instead: "",
  },
  {
    what: "two equal logs were taken for diverged, one begun behind a snapshot and shortened by retention since",
    file: "broker/ha/log-fork.ts",
    code: "later.entry.start <= later.log.start",
    instead: "later.entry.start === later.log.start",
  },
  {
    what: "progress noted by an acting slave about messages that only it had was counted for others at their offsets",
    file: "broker/taken-over-progress.ts",
    code: "notedUpTo(lane, end)",
    instead: "lane",
  },
  {
    what: "a log file without a durable name was written on, and a power cut took what had been acknowledged",
    seed: 3,
    file: "broker/store/segments.ts",
    code: "await this.#disk.syncFolder(this.folder);",
    instead: "",
  },
  {
    what: "a slave that began to act while a snapshot came opened its log twice",
    file: "broker/slave-log.ts",
    code: "const run = this.#turn.then(task);",
    instead: "const run = task();",
  },
  {
    what: "a slave that began to act while its disk was writing gave consumers what that said was done",
    file: "broker/replica.ts",
    code: "await store.flushTo(store.end);",
    instead: "",
  },
  {
    what: "a slave whose log no state can be made of asked its master again and again for what it could not use",
    file: "broker/slave-log.ts",
    code: "await this.#beginAgain(error);",
    instead: "throw error;",
  },
  {
    what: "after a full disk a slave opened its state several times over one log",
    seed: 50,
    file: "broker/slave-log.ts",
    code: "current.state ?? (await current.openState())",
    instead: "await current.openState()",
  },
  {
    what: "progress whose flush was late counted as written, and a full disk took it back",
    file: "broker/delivery/progress-writer.ts",
    code: "if (mayGo) putBack(batch);",
    instead: "",
  },
  {
    what: "a slave that was interrupted while it erased its log could not open what was left",
    file: "broker/store/log-cut.ts",
    code: "names.toReversed()",
    instead: "names",
  },
  {
    what: "a candidate whose entry in etcd a late call had put an older one over was waited for, for ever",
    file: "broker/ha/election/election.ts",
    code: "(entry?.round ?? -1) < (announced?.round ?? 0)",
    instead: "entry === undefined",
  },
  {
    what: "a change of role on a full or failing disk ended the process",
    seed: 2,
    file: "broker/storage-slot.ts",
    code: "if (reason !== saidReason) logger.error(",
    instead: "throw error; logger.error(",
  },
  {
    what: "the recall of a message that the disk could not read failed as if by a bug",
    seed: 541,
    file: "broker/store/disk.ts",
    code: "if (errorCode(error) === undefined || error instanceof MqError) throw error;",
    instead: "throw error;",
  },
  {
    what: "a slave whose disk was full when it began behind a snapshot waited for ever for what its master had removed since",
    file: "broker/slave-log.ts",
    code: "store.end > 0 && store.end !== emptyStart",
    instead: "false",
  },
  {
    what: "a new master whose disk stood still delivered again what the master before had delivered last",
    file: "broker/storage.ts",
    code: "requireReign(store);",
    instead: "",
  },
  {
    what: "an older copy of an acting master's notes made pending again what its newest notes had ended",
    seed: 3856,
    file: "broker/ha/progress-merge.ts",
    code: "return (flags & pendingFlags.anchor) !== 0;",
    instead: "return false;",
  },
  {
    what: "what was out of a lite topic when that went was given to nobody, once its invisible time ended without a subscriber",
    seed: 132,
    file: "broker/delivery/lite/lite-subscription.ts",
    code: "if (group !== undefined) this.update(group);",
    instead: "",
  },
  {
    what: "an elected master that lost its lease kept its last acknowledgements to itself, and others gave these again",
    seed: 445,
    file: "broker/replica.ts",
    code: "await this.#atMost(limits.haLastWordsMs, closing);",
    instead: "",
  },
];
