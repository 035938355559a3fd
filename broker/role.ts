// What decides when a replica rules and whom it follows: the configuration, or an election.
import type { ControllerState, SyncState } from "./remoting/index.ts";

/** Drives a replica from `start` to `close`. */
export interface Role {
  /** Serves, follows, or looks for its master when it resolves. Throws BAD_CONFIG, CORRUPT, DISK_FULL. */
  start(): Promise<void>;
  /** Before a planned stop: lets another broker take over, when one can. */
  leave(): Promise<void>;
  /** Stops following and deciding. */
  close(): Promise<void>;
  /** The record that elections go by; undefined with fixed roles. */
  syncState(): SyncState | undefined;
  /** What stands behind elections; undefined with fixed roles. */
  controller(): Promise<ControllerState | undefined>;
  /** Makes another broker master. Throws UNSUPPORTED with fixed roles. */
  handOver(brokerId: number): Promise<void>;
}
