// What a master of fixed roles waits for: nothing as ASYNC_MASTER; as SYNC_MASTER that inSyncReplicas have a message,
// while that many keep up. Pure but for what it is told. The rules: docs/replication.md.
import { MqError } from "../../base/index.ts";
import type { Quorum } from "../store/index.ts";
import { CatchUp } from "./catch-up.ts";

/** How a master waits. */
export interface FixedQuorumOptions {
  /** Brokers that must have a message, this one included; 1: nobody is waited for. */
  readonly inSyncReplicas: number;
  /** A slave further behind is not in sync, bytes. */
  readonly gapMaxBytes: number;
  /** A slave that is behind for so long is not in sync, milliseconds. */
  readonly slaveTimeoutMs: number;
}

interface Slave {
  /** It has everything before, as durably as this broker's flushDiskType promises. */
  acked: number;
  inSync: boolean;
}

/** The slaves of a master, and what follows for the log. */
export class FixedQuorum implements Quorum {
  readonly #options: FixedQuorumOptions;
  readonly #catchUp: CatchUp;
  readonly #slaves = new Map<number, Slave>();
  /** Everything before it was on enough brokers. */
  #heldUpTo = 0;
  /** What was sent before it has waited for a slave that came too late. */
  #lateUpTo = 0;

  constructor(options: FixedQuorumOptions) {
    this.#options = options;
    this.#catchUp = new CatchUp(options.slaveTimeoutMs);
  }

  /** Whether a slave is waited for. */
  isInSync(brokerId: number): boolean {
    return this.#slaves.get(brokerId)?.inSync ?? false;
  }

  /** Slaves that are waited for. */
  get inSyncCount(): number {
    let count = 0;
    for (const { inSync } of this.#slaves.values()) if (inSync) count += 1;
    return count;
  }

  /** A slave has everything before `position`. It counts as soon as it has caught up. */
  acked(brokerId: number, position: number): void {
    const slave = this.#slaves.get(brokerId);
    if (slave === undefined) {
      this.#slaves.set(brokerId, { acked: position, inSync: false });
    } else {
      slave.acked = Math.max(slave.acked, position);
      // Ahead of the next look at the time: while nothing is sent, nothing else tells that it is there.
      if (!slave.inSync) slave.inSync = this.#catchUp.isCaughtUp(slave.acked);
    }
  }

  /** A slave is gone. */
  disconnected(brokerId: number): void {
    this.#slaves.delete(brokerId);
  }

  /** Looks who keeps up; `durable` and `end` are those of the own log. To be called many times in slaveTimeout. Gives the slaves that are in sync no longer. */
  tick(nowMs: number, log: { readonly durable: number; readonly end: number }): readonly number[] {
    const lost: number[] = [];
    for (const [brokerId, slave] of this.#slaves) {
      const isLate = this.#catchUp.isLate(slave.acked, nowMs);
      const isFar = log.end - slave.acked > this.#options.gapMaxBytes;
      if (slave.inSync && (isLate || isFar)) {
        slave.inSync = false;
        lost.push(brokerId);
        if (isLate) this.#lateUpTo = log.durable;
      } else if (!slave.inSync && !isFar) {
        slave.inSync = this.#catchUp.isCaughtUp(slave.acked);
      }
    }
    this.#catchUp.note(nowMs, log.durable);
    return lost;
  }

  refusal(): undefined {
    return undefined;
  }

  confirmed(durable: number): number {
    if (this.#isShort) return durable;
    let position = durable;
    for (const { acked, inSync } of this.#slaves.values()) {
      if (inSync) position = Math.min(position, acked);
    }
    return position;
  }

  answered(durable: number): number {
    const held = this.#held(durable);
    this.#heldUpTo = Math.max(this.#heldUpTo, held);
    return this.#isShort ? durable : held;
  }

  outcome(end: number): MqError | undefined {
    if (end <= this.#heldUpTo) return undefined;
    const facts = { position: end };
    if (end <= this.#lateUpTo) {
      return new MqError(
        "SLAVE_PERSISTENCE_TIMEOUT",
        `no slave confirmed the message within slaveTimeout (${this.#options.slaveTimeoutMs} ms); it is stored on the master (FLUSH_SLAVE_TIMEOUT)`,
        { facts },
      );
    }
    return new MqError(
      "HA_NOT_AVAILABLE",
      `stored on the master alone: ${this.inSyncCount} slaves are in sync, inSyncReplicas wants ${this.#options.inSyncReplicas - 1} (SLAVE_NOT_AVAILABLE)`,
      { facts },
    );
  }

  /** Whether so few slaves are in sync that waiting makes no sense; also when none is wanted. */
  get #isShort(): boolean {
    const { inSyncReplicas } = this.#options;
    return inSyncReplicas <= 1 || this.inSyncCount < inSyncReplicas - 1;
  }

  /** Up to where enough brokers have the log. */
  #held(durable: number): number {
    const needed = this.#options.inSyncReplicas - 1;
    if (needed <= 0) return durable;
    if (needed === 1) {
      let most = 0;
      for (const { acked } of this.#slaves.values()) most = Math.max(most, acked);
      return Math.min(durable, most);
    }
    const acked = [...this.#slaves.values()].map((slave) => slave.acked);
    acked.sort((one, other) => other - one);
    return Math.min(durable, acked[needed - 1] ?? 0);
  }
}
