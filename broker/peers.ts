// What a broker learns of its group from outside: NameServers, or nobody.
import type { ReplicaPlace } from "./ha/index.ts";

/** The group as NameServers see it. */
export interface Peers {
  /** Other live brokers of the group, as of now; empty when nobody tells. */
  replicas(): readonly ReplicaPlace[];
  /** The group's master, where some NameServer lists one. */
  master(): ReplicaPlace | undefined;
  /** NameServers that answer now. */
  reachableCount(): number;
  /**
   * Asks anew; resolves with all live brokers of the group, also those that have the id of this one: itself, as it was
   * before, or another that claims it. Empty when nobody answers in time.
   */
  ask(timeoutMs: number): Promise<readonly ReplicaPlace[]>;
}

/** Of a broker without NameServers. */
export const noPeers: Peers = {
  replicas: () => [],
  master: () => undefined,
  reachableCount: () => 0,
  ask: () => Promise.resolve([]),
};
