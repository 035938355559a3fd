// The role that the configuration gives: a master that asks its replicas before it serves, or a slave that follows it
// and acts for it while it is gone. docs/replication.md.
import {
  type Address,
  background,
  type CancelTimer,
  limits,
  MqError,
  parseAddress,
} from "../base/index.ts";
import { FixedQuorum, Follower, type ReplicaPlace } from "./ha/index.ts";
import { OverlayCopies } from "./overlay-copies.ts";
import type { Peers } from "./peers.ts";
import type { Replica } from "./replica.ts";
import { takeOverLogs, takeOverlays } from "./returning-master.ts";
import type { Role } from "./role.ts";

/** Drives a replica until it is closed. */
export class FixedRole implements Role {
  readonly #replica: Replica;
  readonly #peers: Peers;
  #cancelTick: CancelTimer | undefined;
  #follower: Follower | undefined;
  #copies: OverlayCopies | undefined;
  #followed = "";
  #linkDownAtMs = 0;
  #isChanging = false;
  #isClosed = false;

  constructor(replica: Replica, peers: Peers) {
    this.#replica = replica;
    this.#peers = peers;
  }

  async start(): Promise<void> {
    const { config, clock } = this.#replica.options;
    if (config.values.brokerRole === "SLAVE") {
      this.#replica.events = { followChanged: () => this.#followChanged() };
      this.#linkDownAtMs = clock.monotonicMs();
      this.#replica.standAsSlave(undefined);
      this.#cancelTick = clock.every(limits.haTickMs, () => this.#tickSlave());
      this.#tickSlave();
      return;
    }
    await this.#rule();
  }

  async leave(): Promise<void> {}

  syncState(): undefined {
    return undefined;
  }

  async controller(): Promise<undefined> {
    return undefined;
  }

  handOver(): Promise<void> {
    const { brokerRole } = this.#replica.options.config.values;
    return Promise.reject(
      new MqError(
        "UNSUPPORTED",
        `the role of this broker is fixed (brokerRole = ${brokerRole}): electing needs enableControllerMode`,
      ),
    );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTick?.();
    this.#endCopies();
    await this.#follower?.stop();
  }

  async #rule(): Promise<void> {
    const replica = this.#replica;
    const { values } = replica.options.config;
    const withOverlay = await takeOverLogs(replica, this.#peers);
    replica.mayCut = values.haTruncateLongerReplica;
    const quorum = new FixedQuorum({
      inSyncReplicas: values.brokerRole === "SYNC_MASTER" ? values.inSyncReplicas : 1,
      gapMaxBytes: values.haMaxGapNotInSync,
      slaveTimeoutMs: values.slaveTimeout,
    });
    await replica.rule({
      quorum,
      progress: (take) => takeOverlays(replica, withOverlay, take),
    });
    this.#cancelTick = replica.options.clock.every(limits.haTickMs, () => this.#tickMaster(quorum));
  }

  #tickMaster(quorum: FixedQuorum): void {
    const { store } = this.#replica.slot.current ?? {};
    if (store === undefined) return;
    const nowMs = this.#replica.options.clock.monotonicMs();
    const lost = quorum.tick(nowMs, { durable: store.durable, end: store.end });
    for (const id of lost) {
      this.#replica.logger.warn("a slave does not keep up: it is in sync no more", { id });
    }
    store.heed(quorum);
  }

  #tickSlave(): void {
    if (this.#isChanging || this.#isClosed) return;
    if (this.#replica.standing.kind !== "acting") this.#endCopies();
    const master = this.#masterPlace();
    if (master !== undefined && master.haAddress !== this.#followed) {
      return this.#change(() => this.#follow(master));
    }
    const { kind } = this.#replica.standing;
    if (kind === "slave" && this.#mayAct()) return this.#change(() => this.#act());
    if (kind === "acting" && !this.#mayAct()) {
      this.#replica.logger.warn("the master is back: this broker acts for it no more");
      this.#change(() => this.#replica.stopActing(master));
    }
  }

  #endCopies(): void {
    this.#copies?.close();
    this.#copies = undefined;
  }

  /** One change after another; the tick goes on when it is done. */
  #change(task: () => Promise<void>): void {
    this.#isChanging = true;
    background(
      task()
        .catch((error: unknown) => {
          if (!(error instanceof Error) || !("code" in error)) throw error;
          this.#replica.logger.error("a change of role failed; trying again", {
            reason: error.message,
          });
        })
        .finally(() => {
          this.#isChanging = false;
        }),
    );
  }

  /** Where the master is: as configured, as NameServers say, or as it was known last. */
  #masterPlace(): ReplicaPlace | undefined {
    const [configured] = this.#replica.options.config.values.haMasterAddress;
    if (configured !== undefined) {
      const haAddress = `${configured.host}:${configured.port}`;
      const grpcAddress = this.#peers.master()?.grpcAddress ?? "";
      return { brokerId: 0, grpcAddress, haAddress };
    }
    const listed = this.#peers.master();
    if (listed !== undefined && listed.haAddress !== "") return listed;
    return this.#followed === ""
      ? this.#replica.list.all().find(({ brokerId }) => brokerId === 0)
      : undefined;
  }

  async #follow(place: ReplicaPlace): Promise<void> {
    const replica = this.#replica;
    const master: Address | undefined = parseAddress(place.haAddress);
    await this.#follower?.stop();
    this.#followed = place.haAddress;
    if (master === undefined || this.#isClosed) return;
    replica.noteReplica(place);
    const { network, clock, config } = replica.options;
    this.#follower = new Follower({
      network,
      clock,
      logger: replica.logger,
      host: replica.slaveLog,
      master,
      purpose: "follow",
      epochMin: 0,
      mayCut: config.values.haTruncateLongerReplica,
    });
  }

  #followChanged(): void {
    const replica = this.#replica;
    const { word } = replica.slaveLog;
    if (word === undefined) {
      if (this.#linkDownAtMs === 0) this.#linkDownAtMs = replica.options.clock.monotonicMs();
    } else {
      this.#linkDownAtMs = 0;
    }
    if (replica.standing.kind !== "acting") replica.standAsSlave(this.#masterSeen());
    // At once: of what the log brings now, the master has given to consumers already.
    else if (word !== undefined) this.#tickSlave();
  }

  /** The master for callers: where the link says, else where NameServers say. */
  #masterSeen(): ReplicaPlace | undefined {
    const place = this.#masterPlace();
    return this.#replica.slaveLog.word === undefined ? this.#peers.master() : place;
  }

  #mayAct(): boolean {
    const { clock, config } = this.#replica.options;
    if (this.#replica.slaveLog.word !== undefined || this.#replica.isHandedOver) return false;
    if (this.#linkDownAtMs === 0) return false;
    if (clock.monotonicMs() - this.#linkDownAtMs < limits.haActAfterMs) return false;
    if (this.#peers.reachableCount() === 0 || this.#peers.master() !== undefined) return false;
    const { brokerId } = config.values;
    return this.#peers.replicas().every((other) => other.brokerId > brokerId);
  }

  async #act(): Promise<void> {
    await this.#replica.act();
    if (this.#replica.standing.kind !== "acting") return;
    this.#replica.logger.warn("the master is gone: this broker acts for it and takes no messages");
    this.#copies ??= new OverlayCopies(this.#replica, () => this.#peers.replicas());
  }
}
