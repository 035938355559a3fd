// The role that an election gives: master of an epoch, or follower of whoever is. docs/election.md.
import {
  background,
  type CancelTimer,
  formatAddress,
  type Logger,
  limits,
  MqError,
  parseAddress,
} from "../base/index.ts";
import {
  type Coordinator,
  type ElectedPlace,
  type ElectionHost,
  ElectionRunner,
  openEtcdCoordinator,
} from "./ha/election/index.ts";
import { CatchUp, ElectedQuorum, Follower } from "./ha/index.ts";
import type { ControllerState, SyncState } from "./remoting/index.ts";
import type { Replica } from "./replica.ts";
import type { Role } from "./role.ts";

/** What an elected role stands on. */
export interface ElectedRoleOptions {
  readonly replica: Replica;
  /** Host that other brokers reach this one by. */
  readonly host: string;
  /** The group's place in etcd; opened over the configured members by default. */
  readonly coordinator?: Coordinator;
}

/** Takes part in the election of a replica's group until it is closed. */
export class ElectedRole implements Role, ElectionHost {
  readonly #options: ElectedRoleOptions;
  readonly #replica: Replica;
  readonly #logger: Logger;
  #catchUp: CatchUp;
  #coordinator: Coordinator | undefined;
  #runner: ElectionRunner | undefined;
  #quorum: ElectedQuorum | undefined;
  #follower: Follower | undefined;
  #followed = "";
  #knownEnd: { readonly epoch: number; readonly end: number } = { epoch: 0, end: 0 };
  #cancelTick: CancelTimer | undefined;
  /** Changes of role, one after the other. */
  #turn: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: ElectedRoleOptions) {
    const { replica } = options;
    this.#options = options;
    this.#replica = replica;
    this.#logger = replica.options.logger.child("election");
    this.#catchUp = this.#newCatchUp();
  }

  get brokerId(): number {
    return this.#replica.identity().brokerId;
  }

  async start(): Promise<void> {
    const replica = this.#replica;
    const { config, clock } = replica.options;
    const { values } = config;
    replica.mayCut = true;
    replica.mayServe = () => this.#runner?.mayServe() ?? false;
    replica.events = {
      slaveJoined: () => {},
      slaveAcked: (brokerId, position) => this.#slaveAcked(brokerId, position),
      slaveLeft: (brokerId, reason) => this.#slaveLeft(brokerId, reason),
    };
    replica.standAsSlave(undefined);
    const coordinator = this.#options.coordinator ?? (await this.#openCoordinator());
    this.#coordinator = coordinator;
    const { host } = this.#options;
    const { grpcPort, haPort } = replica.identity();
    this.#runner = new ElectionRunner({
      host: this,
      coordinator,
      clock,
      logger: this.#logger,
      leaseSeconds: values.controllerLeaseSeconds,
      priority: values.brokerElectionPriority,
      uncleanElection: values.enableElectUncleanMaster,
      grpcAddress: formatAddress({ host, port: grpcPort }),
      haAddress: formatAddress({ host, port: haPort }),
    });
    this.#runner.start();
    this.#cancelTick = clock.every(limits.haTickMs, () => this.#tick());
  }

  /** Hands the group over to the slave that is furthest, when this broker rules it. */
  async leave(): Promise<void> {
    const quorum = this.#quorum;
    const { standing } = this.#replica;
    if (quorum === undefined || standing.kind !== "master") return;
    const others = quorum.members.filter((id) => id !== this.brokerId && quorum.ackedBy(id) > 0);
    const [next] = others.sort((one, other) => quorum.ackedBy(other) - quorum.ackedBy(one));
    if (next === undefined) {
      this.#logger.warn(
        "nobody is in sync: the group has no master until one of its brokers can be elected",
      );
      return;
    }
    try {
      await this.#handOver(next, true);
    } catch (error) {
      if (!(error instanceof MqError)) throw error;
      this.#logger.warn("the hand-over before the stop failed", {
        to: next,
        reason: error.message,
      });
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTick?.();
    await this.#runner?.resign();
    await this.#turn;
    await this.#follower?.stop();
  }

  logEnd(): { readonly epoch: number; readonly end: number } {
    const store = this.#replica.slot.current?.store;
    // While the log is opened anew, it is as long as it was: an empty one is not trusted.
    if (store !== undefined) this.#knownEnd = { epoch: store.epoch, end: store.written };
    return this.#knownEnd;
  }

  async becomeMaster(reign: {
    readonly epoch: number;
    readonly inSync: readonly number[];
  }): Promise<void> {
    const { values } = this.#replica.options.config;
    const quorum = new ElectedQuorum(
      {
        brokerId: this.brokerId,
        waits: values.brokerRole === "SYNC_MASTER",
        minInSyncReplicas: values.minInSyncReplicas,
        mayServe: () => this.#runner?.mayServe() ?? false,
      },
      reign.inSync,
    );
    this.#quorum = quorum;
    // What the log was in an earlier reign says nothing of slaves that are still on their way to this one.
    this.#catchUp = this.#newCatchUp();
    await this.#next(async () => {
      await this.#stopFollowing();
      if (this.#quorum !== quorum) throw new MqError("NOT_MASTER", "the reign is over already");
      await this.#replica.rule({ quorum, epoch: reign.epoch });
    });
  }

  follow(master: ElectedPlace, epoch: number): void {
    background(this.#next(() => this.#follow(master, epoch)));
  }

  stopServing(reason: string): void {
    this.#quorum = undefined;
    this.logEnd();
    // At once, whatever else is under way: nothing is answered from here on.
    const abdicating = this.#replica.abdicate(reason);
    background(
      this.#next(async () => {
        await abdicating.catch(whenStopping);
        if (!this.#isClosed) this.#replica.standAsSlave(undefined);
      }),
    );
  }

  inSyncChanged(inSync: readonly number[], epoch: number): void {
    if (this.#quorum === undefined) return;
    this.#logger.info("the in-sync set is another one", { inSync: inSync.join(" "), epoch });
    this.#quorum.members = inSync;
    this.#replica.quorumChanged();
  }

  syncState(): SyncState | undefined {
    const { group } = this.#runner?.status ?? {};
    const record = group?.record?.value;
    const alive = new Map((group?.members ?? []).map((member) => [member.brokerId, member]));
    const ids = new Set([...alive.keys(), ...(record?.inSync ?? [])]);
    return {
      brokerName: this.#replica.identity().brokerName,
      masterId: group?.holder?.brokerId,
      epoch: record?.epoch ?? 0,
      inSyncIds: record?.inSync ?? [],
      members: [...ids]
        .sort((one, other) => one - other)
        .map((brokerId) => ({
          brokerId,
          address: alive.get(brokerId)?.grpcAddress ?? "",
          isAlive: alive.has(brokerId),
          logEnd: alive.get(brokerId)?.logEnd,
        })),
    };
  }

  async controller(): Promise<ControllerState | undefined> {
    const { controllerLeaseSeconds } = this.#replica.options.config.values;
    const members = (await this.#coordinator?.status({ timeoutMs: limits.haFarewellMs })) ?? [];
    return {
      leaseSeconds: controllerLeaseSeconds,
      members: members.map((member) => ({
        address: member.address,
        isReachable: member.failure === undefined,
        reason: member.failure ?? "",
        name: "",
        version: member.version,
        isLeader: member.isLeader,
        databaseBytes: member.dbSizeBytes,
      })),
    };
  }

  handOver(brokerId: number): Promise<void> {
    return this.#handOver(brokerId, false);
  }

  async #handOver(brokerId: number, isLeaving: boolean): Promise<void> {
    const runner = this.#runner;
    if (runner === undefined || this.#replica.standing.kind !== "master") {
      throw new MqError("NOT_MASTER", `broker ${this.brokerId} does not rule its group now`);
    }
    if (brokerId === this.brokerId) return;
    if (this.#quorum?.isInSync(brokerId) !== true) {
      const known = this.#quorum?.members.join(", ") ?? "";
      throw new MqError(
        "BAD_REQUEST",
        `broker ${brokerId} is not in the in-sync set (${known}): it may lack acknowledged messages`,
      );
    }
    await this.#replica.pauseServing(`handing over to broker ${brokerId}`);
    try {
      await this.#untilLevel(brokerId);
      await runner.handOver(brokerId, { isLeaving });
    } catch (error) {
      await this.#replica.resumeServing();
      throw error;
    }
  }

  /** Waits until a slave has everything that this log has; nothing is appended any more. */
  async #untilLevel(brokerId: number): Promise<void> {
    const { clock } = this.#replica.options;
    const { store } = this.#replica.slot.required();
    const { end } = store;
    const deadlineMs = clock.monotonicMs() + limits.haHandOverMs;
    while ((this.#quorum?.ackedBy(brokerId) ?? 0) < end || store.confirmed < end) {
      if (clock.monotonicMs() > deadlineMs) {
        throw new MqError(
          "HA_NOT_AVAILABLE",
          `broker ${brokerId} did not come level within ${limits.haHandOverMs} ms: nothing was handed over`,
        );
      }
      await new Promise<void>((resolve) => void clock.after(5, resolve));
    }
  }

  #newCatchUp(): CatchUp {
    return new CatchUp(this.#replica.options.config.values.haMaxTimeSlaveNotCatchup);
  }

  #tick(): void {
    this.logEnd();
    const runner = this.#runner;
    const quorum = this.#quorum;
    const store = this.#replica.slot.current?.store;
    if (runner === undefined || quorum === undefined || store === undefined) return;
    if (store.failure !== undefined) return runner.stepDown(store.failure.message);
    if (store.stats.isDiskFull) runner.stepDown("its disk is full");
    const nowMs = this.#replica.options.clock.monotonicMs();
    for (const id of quorum.members) {
      if (id === this.brokerId || !this.#catchUp.isLate(quorum.ackedBy(id), nowMs)) continue;
      runner.slaveBehind(id, "it does not keep up");
    }
    this.#catchUp.note(nowMs, store.durable);
    this.#replica.quorumChanged();
  }

  #slaveAcked(brokerId: number, position: number): void {
    const quorum = this.#quorum;
    const store = this.#replica.slot.current?.store;
    if (quorum === undefined || store === undefined || quorum.isInSync(brokerId)) return;
    // Everything that was acknowledged, it has; what comes next waits for it as soon as the set says so.
    if (position >= store.confirmed && store.epoch > 0) this.#runner?.slaveCaughtUp(brokerId);
  }

  #slaveLeft(brokerId: number, reason: string): void {
    if (this.#quorum?.isInSync(brokerId) === true) this.#runner?.slaveBehind(brokerId, reason);
  }

  async #follow(place: ElectedPlace, epoch: number): Promise<void> {
    const { brokerId, grpcAddress, haAddress } = place;
    const followed = `${haAddress} ${epoch}`;
    this.#replica.standAsSlave({ brokerId, grpcAddress, haAddress });
    if (followed === this.#followed || this.#isClosed) return;
    await this.#stopFollowing();
    const master = parseAddress(haAddress);
    if (master === undefined) return;
    this.#followed = followed;
    const { network, clock } = this.#replica.options;
    this.#follower = new Follower({
      network,
      clock,
      logger: this.#replica.logger,
      host: this.#replica.slaveLog,
      master,
      purpose: "follow",
      epochMin: epoch,
      mayCut: true,
    });
  }

  async #stopFollowing(): Promise<void> {
    this.#followed = "";
    const follower = this.#follower;
    this.#follower = undefined;
    await follower?.stop();
  }

  #openCoordinator(): Promise<Coordinator> {
    const { config, clock } = this.#replica.options;
    const { brokerClusterName, brokerName, controllerAddr } = config.values;
    return openEtcdCoordinator({
      clusterName: brokerClusterName,
      brokerName,
      members: controllerAddr,
      clock,
      logger: this.#logger,
    });
  }

  #next(task: () => Promise<void>): Promise<void> {
    const run = this.#turn.then(task);
    this.#turn = run.catch(() => {});
    return run;
  }
}

/** The broker is closing: there is no role any more to be changed. */
function whenStopping(error: unknown): void {
  if (!(error instanceof MqError) || error.code !== "SHUTTING_DOWN") throw error;
}
