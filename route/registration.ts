// What a broker tells a NameServer about itself: who it is, where it is, which topics it holds.

/** One topic of a broker as routes know it. */
export interface RegisteredTopic {
  readonly name: string;
  readonly readQueueNums: number;
  readonly writeQueueNums: number;
  /** Bits: 4 read, 2 write. */
  readonly perm: number;
  /** `NORMAL`, `FIFO`, `DELAY`, `TRANSACTION`, `LITE`, `PRIORITY` or `MIXED`. */
  readonly messageType: string;
  readonly order: boolean;
}

/** How new a broker's table is: the epoch decides, then the start of the process, then the counter. */
export interface DataVersion {
  readonly epoch: number;
  /** When the process that made the table began, milliseconds since 1970. */
  readonly timestampMs: number;
  readonly counter: number;
}

/** What a broker does for its brokerName: routes lead to masters, and to an acting one where there is no master. */
export type Duty = "master" | "slave" | "acting";

/** The whole table of one broker. */
export interface Registration {
  readonly clusterName: string;
  readonly brokerName: string;
  /** Tells brokers of one name apart; in fixed roles 0 is the master's. */
  readonly brokerId: number;
  /** Default: `master` for id 0, else `slave`. */
  readonly duty?: Duty;
  /** `brokerIP1`; empty = the address that the NameServer sees. */
  readonly host: string;
  /** The port that clients dial. */
  readonly port: number;
  /** The replication port; 0 = none. */
  readonly haPort: number;
  /** The registrar adds when the process began. The epoch is that of the reign. */
  readonly version: Pick<DataVersion, "epoch" | "counter">;
  readonly topics: readonly RegisteredTopic[];
}

/** The duty of a broker that names none. */
export function dutyOf(broker: { readonly brokerId: number; readonly duty?: Duty }): Duty {
  return broker.duty ?? (broker.brokerId === 0 ? "master" : "slave");
}

/** Negative when `a` is older than `b`, 0 when they are the same, positive when newer. */
export function compareVersions(a: DataVersion, b: DataVersion): number {
  return a.epoch - b.epoch || a.timestampMs - b.timestampMs || a.counter - b.counter;
}

/** Whether two rows say the same. */
export function sameTopic(a: RegisteredTopic, b: RegisteredTopic): boolean {
  return (
    a.name === b.name &&
    a.readQueueNums === b.readQueueNums &&
    a.writeQueueNums === b.writeQueueNums &&
    a.perm === b.perm &&
    a.messageType === b.messageType &&
    a.order === b.order
  );
}
