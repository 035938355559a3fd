// What an elected master waits for: every member of the in-sync set that stands in etcd. Pure but for what it is told.
// The rules: docs/replication.md, docs/election.md.
import { MqError } from "../../base/index.ts";
import type { Quorum } from "../store/index.ts";

/** How an elected master waits. */
export interface ElectedQuorumOptions {
  readonly brokerId: number;
  /** SYNC_MASTER: sends are answered when all members have them; else when this broker has. */
  readonly waits: boolean;
  /** Members, this one included, below which a SYNC_MASTER refuses sends. */
  readonly minInSyncReplicas: number;
  /** Whether the lease holds: asked with every send. */
  readonly mayServe: () => boolean;
}

/** The members of the in-sync set, and what follows for the log. */
export class ElectedQuorum implements Quorum {
  readonly #options: ElectedQuorumOptions;
  readonly #acked = new Map<number, number>();
  #members: readonly number[];
  #answered = 0;

  constructor(options: ElectedQuorumOptions, members: readonly number[]) {
    this.#options = options;
    this.#members = members;
  }

  /** The set as it counts now. */
  get members(): readonly number[] {
    return this.#members;
  }

  set members(members: readonly number[]) {
    this.#members = members;
  }

  /** Whether a slave is waited for. */
  isInSync(brokerId: number): boolean {
    return this.#members.includes(brokerId);
  }

  /** A slave has everything before `position`. */
  acked(brokerId: number, position: number): void {
    this.#acked.set(brokerId, Math.max(position, this.#acked.get(brokerId) ?? 0));
  }

  /** What a slave that comes back has is told by itself. */
  disconnected(brokerId: number): void {
    this.#acked.delete(brokerId);
  }

  /** Up to where a slave is known to have the log; 0 when it is not connected. */
  ackedBy(brokerId: number): number {
    return this.#acked.get(brokerId) ?? 0;
  }

  refusal(): MqError | undefined {
    const { waits, minInSyncReplicas, mayServe } = this.#options;
    if (!mayServe()) {
      return new MqError(
        "NOT_MASTER",
        "the lease of this master cannot be renewed: etcd is out of reach",
      );
    }
    if (!waits || this.#members.length >= minInSyncReplicas) return undefined;
    return new MqError(
      "HA_NOT_AVAILABLE",
      `nothing was stored: the in-sync set has ${this.#members.length} brokers, minInSyncReplicas wants ${minInSyncReplicas}`,
    );
  }

  confirmed(durable: number): number {
    let position = durable;
    for (const id of this.#members) {
      if (id !== this.#options.brokerId) position = Math.min(position, this.#acked.get(id) ?? 0);
    }
    return position;
  }

  answered(durable: number): number {
    const { waits, mayServe } = this.#options;
    if (mayServe()) this.#answered = waits ? this.confirmed(durable) : durable;
    return this.#answered;
  }

  outcome(): undefined {
    return undefined;
  }
}
