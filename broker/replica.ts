// One broker of a group without its gRPC port: its log, who copies it, whom it copies, and what it is to the others.
// Knows how to become a master, a slave or an acting master; when, its role decides.
import {
  assert,
  background,
  type CancelTimer,
  type Logger,
  limits,
  MqError,
} from "../base/index.ts";
import { actingStore, overlaidProgress } from "./acting-store.ts";
import { beginConfirmed } from "./confirmed-reign.ts";
import { Delivery, type DeliveryOptions } from "./delivery/index.ts";
import {
  type AckFrame,
  extentOf,
  type Hello,
  type Identity,
  type Network,
  type NotedProgress,
  OverlayFile,
  type ReplicaPlace,
  ReplicationServer,
  type ServerHost,
  type Standing,
  type StateExport,
  type Welcome,
} from "./ha/index.ts";
import {
  type HeldHooks,
  type HeldServices,
  noHeldServices,
  openHeldServices,
} from "./held-services.ts";
import type { KeyIndex } from "./index/index.ts";
import { decodeProgress, type Metadata, type StateStore } from "./metadata/index.ts";
import { ReignSends } from "./reign-sends.ts";
import { ReplicaList } from "./replica-list.ts";
import type { SendWindow } from "./sends/index.ts";
import { SlaveLog } from "./slave-log.ts";
import type { Storage, StorageOptions } from "./storage.ts";
import { StorageSlot } from "./storage-slot.ts";
import type { Quorum, Store } from "./store/index.ts";
import { takeOver } from "./taken-over-progress.ts";

/** What this broker serves while it is a master or acts as one. */
export interface LocalParts extends HeldServices {
  readonly store: Store;
  readonly state: StateStore;
  readonly metadata: Metadata;
  readonly delivery: Delivery;
  readonly index: KeyIndex | undefined;
  /** Recognizes repeated sends; undefined when that is switched off, and while it acts. */
  readonly sends: SendWindow | undefined;
  /** False while it acts: messages are for a master. */
  readonly canSend: boolean;
}

/** A quorum that hears of slaves. */
export interface ReplicaQuorum extends Quorum {
  isInSync(brokerId: number): boolean;
  acked(brokerId: number, position: number): void;
  disconnected(brokerId: number): void;
}

/** What a replica stands on. */
export interface ReplicaOptions extends StorageOptions, HeldHooks {
  readonly network: Network;
  /** Where other brokers reach the replication; undefined: nobody copies this broker. */
  readonly listen: { readonly host: string; readonly port: number } | undefined;
  readonly instanceId: string;
  /** The port for clients; 0 before it is known. */
  readonly grpcPort: () => number;
  readonly delivery: Pick<
    DeliveryOptions,
    "isAlive" | "renewMaxMs" | "pendingMax" | "pendingTotalMax" | "heldPollsMax" | "liteTimes"
  >;
}

/** Hears what a role decides by. */
export interface RoleEvents {
  slaveJoined?(brokerId: number): void;
  slaveAcked?(brokerId: number, position: number): void;
  slaveLeft?(brokerId: number, reason: string): void;
  /** The link to the master has come up or gone. */
  followChanged?(): void;
}

/** A broker among its replicas. */
export class Replica {
  readonly options: ReplicaOptions;
  readonly slot: StorageSlot;
  readonly slaveLog: SlaveLog;
  readonly server: ReplicationServer;
  readonly overlay: OverlayFile;
  readonly list: ReplicaList;
  readonly logger: Logger;
  events: RoleEvents = {};
  /** Asked before each call is served: false when a lease is over that nobody has told of yet. */
  mayServe: () => boolean = () => true;
  /** Whether slaves may cut what this log does not have. */
  mayCut = false;
  readonly #listeners = new Set<() => void>();
  #standing: Standing = { kind: "none", epoch: 0, reason: "starting" };
  /** The reign in which slaves are fed; 0 when none is. It begins before messages are taken. */
  #reign = 0;
  /** Aborted when the reign that is beginning is over before it was confirmed. */
  #ruling: AbortController | undefined;
  #quorum: ReplicaQuorum | undefined;
  #parts: LocalParts | undefined;
  /** Of the reign that lasts. */
  #sends: ReignSends | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  /** An overlay was handed over: nobody acts before the master has had its time. */
  #mayActFromMs = 0;

  private constructor(
    options: ReplicaOptions,
    opened: {
      readonly slot: StorageSlot;
      readonly overlay: OverlayFile;
      readonly list: ReplicaList;
    },
  ) {
    this.options = options;
    this.slot = opened.slot;
    this.overlay = opened.overlay;
    this.list = opened.list;
    this.logger = options.logger.child("replica");
    this.slaveLog = new SlaveLog({
      slot: opened.slot,
      storage: options,
      identity: () => this.identity(),
      changed: () => this.events.followChanged?.(),
      letGo: () => this.#letGo(),
      // Notes may be about messages that are cut off; others will be at their offsets.
      willCut: async () => {
        if (!this.overlay.isEmpty) await this.overlay.clear();
      },
    });
    const { network, clock } = options;
    const host = this.#serverHost();
    this.server = new ReplicationServer({ network, clock, logger: this.logger, host });
  }

  /** Recovers the log and opens the port for other brokers. Throws as `Storage.open` does, and BAD_CONFIG for a port that is taken. */
  static async open(options: ReplicaOptions): Promise<Replica> {
    const { config, disk, logger } = options;
    const folder = config.values.storePathRootDir;
    const slot = await StorageSlot.open(options);
    try {
      const overlay = await OverlayFile.open(disk, folder, logger);
      const list = await ReplicaList.open(disk, folder, logger);
      const replica = new Replica(options, { slot, overlay, list });
      if (options.listen !== undefined) await replica.server.listen(options.listen);
      return replica;
    } catch (error) {
      await slot.close();
      throw error;
    }
  }

  /** What this broker is now. */
  get standing(): Standing {
    return this.#standing;
  }

  /** What it serves; undefined when it serves nothing. */
  get local(): LocalParts | undefined {
    return this.mayServe() ? this.#parts : undefined;
  }

  /** Calls `listener` after each change of standing. Returns what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Who this broker is, to other brokers. */
  identity(): Identity {
    const { config, instanceId, grpcPort } = this.options;
    const { brokerClusterName, brokerName, brokerId, brokerIP1 } = config.values;
    return {
      cluster: brokerClusterName,
      brokerName,
      brokerId,
      instanceId,
      host: brokerIP1,
      grpcPort: grpcPort(),
      haPort: this.server.port,
    };
  }

  /** First words over a link that this broker dials. */
  hello(purpose: Hello["purpose"]): Hello {
    const { store } = this.slot.required();
    const isFlushing = this.slaveLog.isFlushing();
    const { flushed } = store;
    return { kind: "hello", ...this.identity(), ...extentOf(store), purpose, isFlushing, flushed };
  }

  /** Keeps in mind where another broker of the group is. */
  noteReplica(place: ReplicaPlace): void {
    this.#try("the list of replicas is not written", () => this.list.note(place));
  }

  /** Whether a slave is in sync with this master. */
  isInSync(brokerId: number): boolean {
    return this.#quorum?.isInSync(brokerId) ?? false;
  }

  /** The quorum's word has changed. */
  quorumChanged(): void {
    if (this.#quorum !== undefined) this.slot.current?.store.heed(this.#quorum);
  }

  /** Whether an overlay was handed over so recently that its master is still on its way. */
  get isHandedOver(): boolean {
    return this.options.clock.monotonicMs() < this.#mayActFromMs;
  }

  /**
   * Becomes master: opens an epoch, takes over what `progress` gives, and serves. The epoch is the next one when none
   * is given. Slaves are fed from the beginning on; messages are taken when the epoch is confirmed.
   */
  rule(reign: {
    readonly quorum: ReplicaQuorum;
    readonly epoch?: number;
    /** Called when appending is possible and nobody is served yet. */
    readonly progress?: (take: (noted: NotedProgress) => Promise<void>) => Promise<void>;
  }): Promise<void> {
    return this.#inTurn(async () => {
      assert(this.#parts === undefined, "a broker that serves does not become master");
      // A log that waits for its snapshot was followed without its state.
      if (this.slaveLog.isWithoutState) await this.slot.reopen();
      const storage = this.slot.required();
      const state = storage.state ?? (await storage.openState());
      const { store } = storage;
      this.slaveLog.release();
      this.#quorum = reign.quorum;
      const epoch = reign.epoch ?? store.epoch + 1;
      store.heed(reign.quorum);
      this.#reign = epoch;
      this.#ruling = new AbortController();
      await beginConfirmed({ store, epoch, signal: this.#ruling.signal, logger: this.logger });
      await state.begin();
      await reign.progress?.((noted) => takeOver(store, state, noted));
      this.#sends = await ReignSends.open(this.options, store, state.metadata);
      await this.#serve(storage, { kind: "master", epoch });
    });
  }

  /**
   * Gives the mastership up: takes nothing more, writes the last progress while slaves still copy, and opens the log anew,
   * to be followed or ruled.
   */
  abdicate(reason: string): Promise<void> {
    this.#ruling?.abort(new MqError("NOT_MASTER", reason));
    this.#stand({ kind: "none", epoch: this.#reign, reason });
    return this.#inTurn(async () => {
      const closing = this.#closeDelivery();
      // Slaves that are gone confirm nothing: what is left to be confirmed then is refused by the store that closes.
      await this.#atMost(limits.haLastWordsMs, closing);
      this.#reign = 0;
      this.#quorum = undefined;
      this.#sends?.close();
      this.#sends = undefined;
      this.server.endLinks(reason);
      await Promise.all([closing, this.slot.reopen()]);
    });
  }

  /** Stops taking messages and writes the last progress, so that another broker can take over without a loss. */
  pauseServing(reason: string): Promise<void> {
    this.#stand({ kind: "none", epoch: this.#reign, reason });
    return this.#inTurn(() => this.#closeDelivery());
  }

  /** Serves again after `pauseServing`, when nobody has taken over. */
  resumeServing(): Promise<void> {
    return this.#inTurn(async () => {
      const storage = this.slot.required();
      if (this.#parts !== undefined || storage.state === undefined || this.#reign === 0) return;
      await this.#serve(storage, { kind: "master", epoch: this.#reign });
    });
  }

  /** Is a slave from now on; `master` is where it copies from, when that is known. */
  standAsSlave(master: ReplicaPlace | undefined): void {
    const epoch = this.slot.current?.store.epoch ?? 0;
    this.#stand({ kind: "slave", epoch, master });
  }

  /** Acts for the master: gives messages, keeps progress apart, takes none. */
  act(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#parts !== undefined || !(await this.slaveLog.openWithoutMaster())) return;
      const storage = this.slot.required();
      const { store, state } = storage;
      if (state === undefined || !state.metadata.hasMacKey) return;
      // What the disk has not taken yet tells what consumers have done, too.
      await store.flushTo(store.end);
      if (this.slaveLog.word !== undefined) return;
      this.slaveLog.confirmAll();
      await this.#serve(storage, { kind: "acting", epoch: store.epoch });
      if (this.slot.current?.store !== store) await this.#letGo();
    });
  }

  /** Stops acting; what was noted stays in the overlay. */
  stopActing(master: ReplicaPlace | undefined): Promise<void> {
    this.standAsSlave(master);
    return this.#inTurn(() => this.#closeDelivery());
  }

  /** Writes what is left and closes everything. Never rejects. */
  async close(): Promise<void> {
    this.#ruling?.abort(new MqError("SHUTTING_DOWN", "the broker is stopping"));
    this.#stand({ kind: "none", epoch: this.#reign, reason: "stopping" });
    await this.#inTurn(async () => {
      await this.#closeDelivery();
      await this.server.close();
      await this.overlay.close();
      await this.slot.close();
    });
  }

  /** The position that counts of what a slave says it has. */
  ackedPosition({ written, flushed }: Pick<AckFrame, "written" | "flushed">): number {
    return this.options.config.values.flushDiskType === "SYNC_FLUSH" ? flushed : written;
  }

  async #serve(
    storage: Storage,
    standing: Extract<Standing, { kind: "master" | "acting" }>,
  ): Promise<void> {
    const { store, state, index, held } = storage;
    assert(state !== undefined && held !== undefined, "who serves has a state");
    const { config, clock, logger, delivery: hooks } = this.options;
    const isActing = standing.kind === "acting";
    const delivery = await Delivery.open({
      ...hooks,
      store: isActing ? actingStore(store, this.overlay) : store,
      state: isActing ? overlaidProgress(state, this.overlay.noted) : state,
      metadata: state.metadata,
      clock,
      logger: logger.child("delivery"),
      brokerName: config.values.brokerName,
    });
    const { metadata } = state;
    const sends = isActing ? undefined : this.#sends?.window;
    const services = isActing ? noHeldServices : openHeldServices(this.options, held, metadata);
    this.#parts = {
      store,
      state,
      metadata,
      delivery,
      ...services,
      index,
      sends,
      canSend: !isActing,
    };
    this.#stand(standing);
  }

  async #closeDelivery(): Promise<void> {
    const parts = this.#parts;
    this.#parts = undefined;
    await Promise.all([
      parts?.timers?.close(),
      parts?.transactions?.close(),
      parts?.delivery.close(),
    ]);
  }

  async #letGo(): Promise<void> {
    await this.#closeDelivery();
    if (this.#standing.kind === "acting") this.standAsSlave(undefined);
  }

  #serverHost(): ServerHost {
    return {
      identity: () => this.identity(),
      standing: () => this.#toOthers(),
      store: () => this.slot.current?.store,
      mayCut: () => this.mayCut,
      exportState: () => this.#exportState(),
      hasOverlay: () => this.#standing.kind === "acting" || !this.overlay.isEmpty,
      handOverlay: () => this.#handOverlay(),
      overlayTaken: () => this.overlay.clear(),
      keepNotes: (body) => this.#keepNotes(body),
      slaveJoined: (brokerId) => this.#slaveJoined(brokerId),
      slaveAcked: (brokerId, ack) => this.#slaveAcked(brokerId, ack),
      slaveLeft: (brokerId, reason) => this.#slaveLeft(brokerId, reason),
    };
  }

  #toOthers(): { readonly kind: Welcome["standing"]; readonly epoch: number } {
    if (this.#reign > 0) return { kind: "master", epoch: this.#reign };
    const { kind, epoch } = this.#standing;
    return { kind: kind === "master" ? "none" : kind, epoch };
  }

  async #exportState(): Promise<StateExport> {
    const { state } = this.slot.required();
    if (state !== undefined) return await state.export();
    throw new MqError("HA_NOT_AVAILABLE", "this broker has no state of its own yet");
  }

  async #handOverlay(): Promise<Iterable<Uint8Array>> {
    const { preOnlineTimeout } = this.options.config.values;
    this.#mayActFromMs = this.options.clock.monotonicMs() + preOnlineTimeout;
    await this.stopActing(undefined);
    return this.overlay.bodies();
  }

  #keepNotes(body: Buffer): void {
    const changes = decodeProgress(body);
    if (changes.length > 0)
      this.#try("a copy of an overlay is not kept", () => this.overlay.append(changes));
  }

  #slaveJoined(brokerId: number): void {
    const slave = this.server.slaves().find(({ identity }) => identity.brokerId === brokerId);
    if (slave !== undefined) {
      const { grpcAddress, haAddress } = slave;
      this.noteReplica({ brokerId, grpcAddress, haAddress });
    }
    this.events.slaveJoined?.(brokerId);
  }

  #slaveAcked(brokerId: number, ack: AckFrame): void {
    const position = this.ackedPosition(ack);
    this.#quorum?.acked(brokerId, position);
    this.quorumChanged();
    this.events.slaveAcked?.(brokerId, position);
  }

  #slaveLeft(brokerId: number, reason: string): void {
    this.#quorum?.disconnected(brokerId);
    this.quorumChanged();
    this.events.slaveLeft?.(brokerId, reason);
  }

  /** Does in the background what may fail without harm: the disk's words go to the log. */
  #try(what: string, task: () => Promise<void>): void {
    background(
      task().catch((error: unknown) => {
        if (!(error instanceof Error) || !("code" in error)) throw error;
        this.logger.warn(what, { reason: error.message });
      }),
    );
  }

  #stand(standing: Standing): void {
    this.#standing = standing;
    for (const listener of this.#listeners) listener();
  }

  /** Resolves when `task` has ended, or the time is over. */
  async #atMost(milliseconds: number, task: Promise<void>): Promise<void> {
    let cancel: CancelTimer | undefined;
    const over = new Promise<void>((resolve) => {
      cancel = this.options.clock.after(milliseconds, resolve, { unref: true });
    });
    await Promise.race([task, over]);
    cancel?.();
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(task);
    this.#turn = run.catch(() => {});
    return run;
  }
}
