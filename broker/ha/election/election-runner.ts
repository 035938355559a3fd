// Drives the core of an election: makes its calls to etcd, keeps its timer, and tells the broker what it is.
import {
  background,
  type CancelTimer,
  type Clock,
  type Logger,
  MqError,
  toMqError,
} from "../../../base/index.ts";
import type {
  Coordinator,
  GroupChange,
  GroupView,
  LeaseGrant,
  MemberEntry,
} from "./coordinator.ts";
import { mayServe, step } from "./election.ts";
import {
  type CallKind,
  type ChangePurpose,
  type ElectedPlace,
  type ElectionAction,
  type ElectionEvent,
  type ElectionState,
  initialState,
} from "./election-state.ts";
import { renewTimeoutMs, serveUntilMs } from "./lease-time.ts";
import { timings } from "./timings.ts";

/** The broker whose role is decided. Its methods are called one after the other, and must not throw. */
export interface ElectionHost {
  readonly brokerId: number;
  /** Epoch of the newest record of its log, and where the log ends. */
  logEnd(): { readonly epoch: number; readonly end: number };
  /**
   * It is the master of this epoch. A rejection means that it cannot be: another one is elected. `stopServing` may come
   * before the promise is settled.
   */
  becomeMaster(reign: {
    readonly epoch: number;
    readonly inSync: readonly number[];
  }): Promise<void>;
  /** Another broker is the master. Called again when its epoch or an address changes. */
  follow(master: ElectedPlace, epoch: number): void;
  /** It is no longer the master; `mayServe` has been false for as long as it had to be. */
  stopServing(reason: string): void;
  /** Acknowledgements wait for these from now on. */
  inSyncChanged(inSync: readonly number[], epoch: number): void;
}

/** What an election needs. */
export interface ElectionOptions {
  readonly host: ElectionHost;
  readonly coordinator: Coordinator;
  readonly clock: Clock;
  readonly logger: Logger;
  /** `controllerLeaseSeconds`. */
  readonly leaseSeconds: number;
  /** `brokerElectionPriority`. */
  readonly priority: number;
  /** `enableElectUncleanMaster`. */
  readonly uncleanElection: boolean;
  readonly grpcAddress: string;
  readonly haAddress: string;
}

/** How things stand, for operators. */
export interface ElectionStatus {
  readonly brokerId: number;
  readonly role: "master" | "slave" | "candidate" | "gone";
  /** Of the record; 0 when none is known. */
  readonly epoch: number;
  /** As this broker saw the group last; `undefined` before it has reached etcd. */
  readonly group: GroupView | undefined;
  /** For how long this broker may count on its lease, milliseconds; 0: not at all. */
  readonly leaseLeftMs: number;
}

interface PendingHandOver {
  readonly resolve: () => void;
  readonly reject: (error: MqError) => void;
}

/** Takes part in the election of one group. */
export class ElectionRunner {
  readonly #options: ElectionOptions;
  #state: ElectionState;
  readonly #events: ElectionEvent[] = [];
  #isStepping = false;
  #isClosed = false;
  #cancelTick: CancelTimer = () => {};
  #handOver: PendingHandOver | undefined;
  readonly #reportedAtMs = new Map<CallKind, number>();

  constructor(options: ElectionOptions) {
    this.#options = options;
    const { host, leaseSeconds, uncleanElection } = options;
    this.#state = initialState({ brokerId: host.brokerId, leaseSeconds, uncleanElection });
  }

  /** Begins to take part. */
  start(): void {
    this.#options.coordinator.watch(() => this.#take({ kind: "groupChanged" }));
    this.#take({ kind: "tick" });
  }

  /** Whether this broker may take, give and acknowledge messages at this moment: ask before each answer. */
  mayServe(): boolean {
    return !this.#isClosed && mayServe(this.#state, this.#options.clock.monotonicMs());
  }

  /**
   * The slave has every record that was acknowledged, at this very moment. It is taken into the in-sync set, or not
   * (another change is under way): call it with each report of a slave that is not in the set.
   */
  slaveCaughtUp(brokerId: number): void {
    this.#take({ kind: "slaveCaughtUp", brokerId });
  }

  /** The slave is gone or too far behind: it leaves the set as soon as etcd says so. */
  slaveBehind(brokerId: number, reason: string): void {
    this.#take({ kind: "slaveBehind", brokerId, reason });
  }

  /**
   * Gives the group to a broker that is in sync; a broker that `isLeaving` goes out of the set with that. Nothing is
   * served from the call on. Throws BAD_REQUEST when that broker cannot have it, NOT_MASTER when it is not this broker's,
   * COORDINATOR_UNREACHABLE when etcd did not answer.
   */
  handOver(
    toId: number,
    { isLeaving = false }: { readonly isLeaving?: boolean } = {},
  ): Promise<void> {
    if (this.#handOver !== undefined) {
      return Promise.reject(new MqError("BAD_REQUEST", "another hand-over is under way"));
    }
    return new Promise((resolve, reject) => {
      this.#handOver = { resolve, reject };
      this.#take({ kind: "handOverWanted", toId, isLeaving });
    });
  }

  /** Stops ruling and lets others try for some seconds: this broker cannot serve, because of its disk for example. */
  stepDown(reason: string): void {
    this.#take({ kind: "unfit", reason });
  }

  /** Leaves the group for good: stops ruling, ends the lease in etcd, so that others need not wait for its end. */
  async resign(): Promise<void> {
    const { lease } = this.#state;
    this.#take({ kind: "resigned" });
    if (lease !== undefined) await this.#revoke(lease.id);
    this.close();
  }

  /** Ends everything at once, without a word to etcd. */
  close(): void {
    this.#isClosed = true;
    this.#cancelTick();
    this.#options.coordinator.close();
    this.#endHandOver(new MqError("SHUTTING_DOWN", "the broker is stopping"));
  }

  /** How things stand. */
  get status(): ElectionStatus {
    const { role, view, lease, resigned, followed, vacancy, settings } = this.#state;
    const nowMs = this.#options.clock.monotonicMs();
    const other = followed === undefined || vacancy !== undefined ? "candidate" : "slave";
    return {
      brokerId: settings.brokerId,
      role: resigned || this.#isClosed ? "gone" : role.kind === "master" ? "master" : other,
      epoch: view?.record?.value.epoch ?? 0,
      group: view,
      leaseLeftMs: lease === undefined ? 0 : Math.max(0, serveUntilMs(lease) - nowMs),
    };
  }

  /** Events that come while another is acted upon wait for their turn. */
  #take(event: ElectionEvent): void {
    if (this.#isClosed) return;
    this.#events.push(event);
    if (this.#isStepping) return;
    this.#isStepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        this.#step(next);
      }
    } finally {
      this.#isStepping = false;
    }
  }

  #step(event: ElectionEvent): void {
    const { clock } = this.#options;
    const { state, actions, wakeAtMs } = step(this.#state, event, clock.monotonicMs());
    this.#state = state;
    for (const action of actions) this.#act(action);
    this.#cancelTick();
    if (this.#isClosed || wakeAtMs === Infinity) return;
    const delayMs = Math.max(0, wakeAtMs - clock.monotonicMs());
    this.#cancelTick = clock.after(delayMs, () => this.#take({ kind: "tick" }), { unref: true });
  }

  #act(action: ElectionAction): void {
    const { host, logger } = this.#options;
    switch (action.kind) {
      case "becomeMaster":
        return background(this.#becomeMaster(action.epoch, action.inSync));
      case "follow":
        return host.follow(action.master, action.epoch);
      case "stopServing":
        return host.stopServing(action.reason);
      case "inSyncChanged":
        return host.inSyncChanged(action.inSync, action.epoch);
      case "handOverEnded":
        return this.#endHandOver(action.failure);
      case "log":
        return logger[action.level](action.message, action.fields);
      case "grantLease":
        return background(this.#grant(action.ttlSeconds));
      case "renewLease":
        return background(this.#renew(action.lease.id, action.lease.ttlSeconds));
      case "revokeLease":
        return background(this.#revoke(action.leaseId));
      case "read":
        return background(this.#read(action.askedAfter));
      case "announce":
        return background(this.#announce(action.leaseId, action.round));
      case "commit":
        return background(this.#commit(action.purpose, action.change));
    }
  }

  async #becomeMaster(epoch: number, inSync: readonly number[]): Promise<void> {
    try {
      await this.#options.host.becomeMaster({ epoch, inSync });
    } catch (error) {
      const reason = `it could not become master: ${toMqError(error).message}`;
      const { role } = this.#state;
      if (role.kind === "master" && role.epoch === epoch) this.stepDown(reason);
    }
  }

  async #grant(ttlSeconds: number): Promise<void> {
    const timeoutMs = renewTimeoutMs(ttlSeconds);
    await this.#lease(this.#options.coordinator.grantLease({ ttlSeconds, timeoutMs }));
  }

  async #renew(leaseId: string, ttlSeconds: number): Promise<void> {
    const timeoutMs = renewTimeoutMs(ttlSeconds);
    await this.#lease(this.#options.coordinator.keepAlive({ leaseId, timeoutMs }), leaseId);
  }

  async #lease(call: Promise<LeaseGrant | "gone">, leaseId = ""): Promise<void> {
    try {
      const grant = await call;
      if (grant === "gone") return this.#take({ kind: "leaseGone", leaseId });
      const { leaseId: id, ttlSeconds, sentAtMs } = grant;
      this.#take({ kind: "leased", lease: { id, ttlSeconds, sentAtMs } });
    } catch (error) {
      this.#failed("lease", error);
    }
  }

  /** When etcd does not answer, the lease ends by itself. */
  async #revoke(leaseId: string): Promise<void> {
    try {
      await this.#options.coordinator.revoke({ leaseId, timeoutMs: timings.callTimeoutMs });
    } catch (error) {
      this.#report("lease", error);
    }
  }

  async #read(askedAfter: number): Promise<void> {
    try {
      const view = await this.#options.coordinator.read({ timeoutMs: timings.callTimeoutMs });
      this.#take({ kind: "viewed", view, askedAfter });
    } catch (error) {
      this.#failed("read", error);
    }
  }

  async #announce(leaseId: string, round: number): Promise<void> {
    const { coordinator, host, grpcAddress, haAddress, priority } = this.#options;
    const { epoch, end: logEnd } = host.logEnd();
    const { brokerId } = host;
    const entry: MemberEntry = { brokerId, grpcAddress, haAddress, epoch, logEnd, priority, round };
    const lease = { leaseId, timeoutMs: timings.callTimeoutMs };
    try {
      const outcome = await coordinator.announce(entry, lease);
      // That the lease is gone is heard from its renewal.
      if (outcome === "gone") return this.#take({ kind: "callFailed", call: "announce" });
      this.#take({ kind: "announced", outcome, leaseId, round });
    } catch (error) {
      this.#failed("announce", error);
    }
  }

  async #commit(purpose: ChangePurpose, change: GroupChange): Promise<void> {
    const { coordinator } = this.#options;
    try {
      const outcome = await coordinator.commit(change, { timeoutMs: timings.callTimeoutMs });
      this.#take({ kind: "committed", purpose, change, outcome });
    } catch (error) {
      this.#report("commit", error);
      this.#take({ kind: "committed", purpose, change, outcome: { kind: "unknown" } });
    }
  }

  #failed(call: Exclude<CallKind, "commit">, error: unknown): void {
    this.#report(call, error);
    this.#take({ kind: "callFailed", call });
  }

  /** While etcd is away, calls fail many times a second: not each of them is a line. */
  #report(call: CallKind, error: unknown): void {
    const nowMs = this.#options.clock.monotonicMs();
    const nextAtMs = (this.#reportedAtMs.get(call) ?? -Infinity) + timings.reportEveryMs;
    if (this.#isClosed || nowMs < nextAtMs) return;
    this.#reportedAtMs.set(call, nowMs);
    this.#options.logger.warn("a call to etcd failed", { call, reason: toMqError(error).message });
  }

  #endHandOver(failure: MqError | undefined): void {
    const pending = this.#handOver;
    this.#handOver = undefined;
    if (failure === undefined) pending?.resolve();
    else pending?.reject(failure);
  }
}
