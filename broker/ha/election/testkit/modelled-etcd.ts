// etcd in memory, on a handed-in clock: linearizable, with leases that end late, clients that can be cut off, answers
// that get lost. The same suite as for the real one runs on it: test/conformance/coordinator/.
import { type Clock, MqError, type Random } from "../../../../base/index.ts";
import type {
  CallDeadline,
  ChangeOutcome,
  Coordinator,
  CoordinatorMember,
  GroupChange,
  GroupView,
  Holder,
  LeaseGrant,
  Member,
  MemberEntry,
} from "../coordinator.ts";

/** How it behaves. */
export interface ModelledEtcdOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** One way to etcd or back takes up to so long, milliseconds. */
  readonly delayMaxMs?: number;
  /** An expired lease is revoked up to so late, milliseconds. */
  readonly lateMaxMs?: number;
  readonly ttlMinSeconds?: number;
  /** Of all requests so many arrive up to 4 seconds late: their senders have given them up by then. */
  readonly strayRatio?: number;
}

/** Which way of a client is cut. */
export type CutWay = "requests" | "answers" | "both";

interface Group {
  record: GroupView["record"];
  holder: Holder | undefined;
  readonly members: Map<number, Member>;
}

interface Lease {
  readonly ttlSeconds: number;
  stop: () => void;
}

interface Client {
  readonly name: string;
  readonly group: Group;
  readonly clock: Clock;
  readonly open: Set<(error: MqError) => void>;
  changed: () => void;
  closed: boolean;
}

/** Applies a request; what it returns is the answer. */
type Apply<T> = () => T;

/** An etcd cluster that answers as one. */
export class ModelledEtcd {
  readonly #options: Required<ModelledEtcdOptions>;
  readonly #groups = new Map<string, Group>();
  readonly #leases = new Map<string, Lease>();
  readonly #clients = new Set<Client>();
  readonly #cuts = new Map<string, CutWay>();
  #revision = 1;
  #nextLease = 1;
  #down = false;

  constructor(options: ModelledEtcdOptions) {
    this.#options = { delayMaxMs: 2, lateMaxMs: 500, ttlMinSeconds: 1, strayRatio: 0, ...options };
  }

  /** A client with a name to cut it by, and the clock that it counts its deadlines on. */
  connect(
    name: string,
    options: { readonly clock?: Clock; readonly group?: string } = {},
  ): Coordinator {
    const client: Client = {
      name,
      group: this.#group(options.group ?? "group"),
      clock: options.clock ?? this.#options.clock,
      open: new Set(),
      changed: () => {},
      closed: false,
    };
    this.#clients.add(client);
    return new ModelledCoordinator(this, client);
  }

  /** From now on nothing of that client arrives, or nothing arrives at it. */
  cut(name: string, way: CutWay): void {
    this.#cuts.set(name, way);
  }

  /** Ends a cut. */
  heal(name: string): void {
    this.#cuts.delete(name);
    for (const client of this.#clients) if (client.name === name) this.#tell(client);
  }

  /** Without a majority nothing is answered and no lease ends; afterwards each starts anew, as under a new leader. */
  set down(down: boolean) {
    if (this.#down === down) return;
    this.#down = down;
    for (const [leaseId, lease] of this.#leases) {
      lease.stop();
      if (!down) this.#start(leaseId, lease);
    }
    if (!down) for (const client of this.#clients) this.#tell(client);
  }

  /** What stands there now, for the test's eyes. */
  peek(group = "group"): GroupView {
    const { record, holder, members } = this.#group(group);
    const sorted = [...members.values()].sort((one, other) => one.brokerId - other.brokerId);
    return { record, holder, members: sorted };
  }

  /** Ends a lease at once, as when its time is over. */
  expire(leaseId: string): void {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) return;
    lease.stop();
    this.#leases.delete(leaseId);
    for (const group of this.#groups.values()) {
      let touched = group.holder?.leaseId === leaseId;
      if (touched) group.holder = undefined;
      for (const [id, member] of group.members) {
        if (member.leaseId !== leaseId) continue;
        group.members.delete(id);
        touched = true;
      }
      if (touched) this.#changed(group);
    }
  }

  grant(ttlSeconds: number): { leaseId: string; ttlSeconds: number } {
    const leaseId = String(this.#nextLease++);
    const lease = { ttlSeconds: Math.max(ttlSeconds, this.#options.ttlMinSeconds), stop: () => {} };
    this.#leases.set(leaseId, lease);
    this.#start(leaseId, lease);
    return { leaseId, ttlSeconds: lease.ttlSeconds };
  }

  renew(leaseId: string): number {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) return 0;
    lease.stop();
    this.#start(leaseId, lease);
    return lease.ttlSeconds;
  }

  announce(group: Group, member: Member): "done" | "taken" | "gone" {
    if (!this.#leases.has(member.leaseId)) return "gone";
    const old = group.members.get(member.brokerId);
    if (old !== undefined && old.leaseId !== member.leaseId) return "taken";
    group.members.set(member.brokerId, member);
    this.#changed(group);
    return "done";
  }

  commit(group: Group, change: GroupChange): ChangeOutcome {
    const { ifRevision, ifHolder, record, holder } = change;
    const heldBy = typeof holder === "object" ? holder : undefined;
    const fits =
      (group.record?.revision ?? 0) === ifRevision &&
      group.holder?.leaseId === ifHolder &&
      (heldBy === undefined || group.members.get(heldBy.brokerId)?.leaseId === heldBy.leaseId);
    if (!fits) return { kind: "conflict" };
    this.#changed(group);
    group.record = { value: record, revision: this.#revision };
    if (holder !== "same") group.holder = heldBy;
    return { kind: "done", revision: this.#revision };
  }

  /** Carries a request there and its answer back. */
  call<T>(client: Client, timeoutMs: number, apply: Apply<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (error: MqError): void => {
        cancel();
        client.open.delete(fail);
        reject(error);
      };
      const cancel = client.clock.after(timeoutMs, () => fail(unreachable("no answer in time")));
      client.open.add(fail);
      if (client.closed) return fail(unreachable("closed"));
      this.#travel(client, "requests", () => {
        if (this.#down) return;
        const answer = apply();
        this.#travel(client, "answers", () => {
          if (!client.open.delete(fail)) return;
          cancel();
          resolve(answer);
        });
      });
    });
  }

  leave(client: Client): void {
    client.closed = true;
    this.#clients.delete(client);
    for (const fail of client.open) fail(unreachable("closed"));
  }

  get isDown(): boolean {
    return this.#down;
  }

  #travel(client: Client, way: "requests" | "answers", arrive: () => void): void {
    const { clock, random, delayMaxMs, strayRatio } = this.#options;
    const isStray = way === "requests" && strayRatio > 0 && random.next() < strayRatio;
    clock.after(random.next() * (isStray ? 4_000 : delayMaxMs), () => {
      const cut = this.#cuts.get(client.name);
      if (cut === "both" || cut === way) return;
      if (way === "requests") arrive();
      else client.clock.after(0, arrive);
    });
  }

  #start(leaseId: string, lease: Lease): void {
    const { clock, random, lateMaxMs } = this.#options;
    if (this.#down) return;
    const delayMs = lease.ttlSeconds * 1_000 + random.next() * lateMaxMs;
    lease.stop = clock.after(delayMs, () => this.expire(leaseId));
  }

  #changed(group: Group): void {
    this.#revision++;
    for (const client of this.#clients) if (client.group === group) this.#tell(client);
  }

  #tell(client: Client): void {
    this.#travel(client, "answers", () => {
      if (!client.closed && !this.#down) client.changed();
    });
  }

  #group(name: string): Group {
    const group = this.#groups.get(name) ?? {
      record: undefined,
      holder: undefined,
      members: new Map(),
    };
    this.#groups.set(name, group);
    return group;
  }
}

/** The group as one client sees it. */
class ModelledCoordinator implements Coordinator {
  readonly #etcd: ModelledEtcd;
  readonly #client: Client;

  constructor(etcd: ModelledEtcd, client: Client) {
    this.#etcd = etcd;
    this.#client = client;
  }

  read({ timeoutMs }: CallDeadline): Promise<GroupView> {
    return this.#call(timeoutMs, () => {
      const { record, holder, members } = this.#client.group;
      const sorted = [...members.values()].sort((one, other) => one.brokerId - other.brokerId);
      return { record, holder, members: sorted };
    });
  }

  commit(change: GroupChange, { timeoutMs }: CallDeadline): Promise<ChangeOutcome> {
    return this.#call(timeoutMs, () => this.#etcd.commit(this.#client.group, change));
  }

  announce(
    entry: MemberEntry,
    { leaseId, timeoutMs }: CallDeadline & { readonly leaseId: string },
  ): Promise<"done" | "taken" | "gone"> {
    return this.#call(timeoutMs, () =>
      this.#etcd.announce(this.#client.group, { ...entry, leaseId }),
    );
  }

  async grantLease(wanted: CallDeadline & { readonly ttlSeconds: number }): Promise<LeaseGrant> {
    const sentAtMs = this.#client.clock.monotonicMs();
    const grant = await this.#call(wanted.timeoutMs, () => this.#etcd.grant(wanted.ttlSeconds));
    return { ...grant, sentAtMs };
  }

  async keepAlive(
    lease: CallDeadline & { readonly leaseId: string },
  ): Promise<LeaseGrant | "gone"> {
    const { leaseId, timeoutMs } = lease;
    const sentAtMs = this.#client.clock.monotonicMs();
    const ttlSeconds = await this.#call(timeoutMs, () => this.#etcd.renew(leaseId));
    return ttlSeconds > 0 ? { leaseId, ttlSeconds, sentAtMs } : "gone";
  }

  revoke(lease: CallDeadline & { readonly leaseId: string }): Promise<void> {
    return this.#call(lease.timeoutMs, () => this.#etcd.expire(lease.leaseId));
  }

  watch(changed: () => void): void {
    this.#client.changed = changed;
    this.#client.clock.after(0, () => {
      if (!this.#client.closed) changed();
    });
  }

  async status({ timeoutMs }: CallDeadline): Promise<readonly CoordinatorMember[]> {
    const state = { address: "modelled:0", version: "modelled", dbSizeBytes: 0 };
    return this.#call(timeoutMs, () => [{ ...state, failure: undefined, isLeader: true }]).catch(
      (error: unknown) => [{ ...state, failure: String(error), isLeader: false }],
    );
  }

  close(): void {
    this.#etcd.leave(this.#client);
  }

  #call<T>(timeoutMs: number, apply: Apply<T>): Promise<T> {
    return this.#etcd.call(this.#client, timeoutMs, apply);
  }
}

function unreachable(why: string): MqError {
  return new MqError("COORDINATOR_UNREACHABLE", `etcd: ${why}`);
}
