// A broker at one moment, as far as only the one who composed it knows.

/** Facts of the process and of the registration. */
export interface BrokerStatus {
  readonly softwareVersion: string;
  readonly startedAtMs: number;
  readonly connections: number;
  /** Messages a second over the last ten seconds. */
  readonly putTps: number;
  readonly getTps: number;
  readonly rssBytes: number;
  /** NameServers by address, and "connected" or why not. */
  readonly nameServers: Readonly<Record<string, string>>;
  /** Used share of the disk, `[0, 1]`. */
  readonly diskUsageRatio: number;
  /** Messages that wait for their time. */
  readonly delayedMessages: number;
}
