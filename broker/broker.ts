// One broker: puts its parts together, opens them in order, and closes them in order within five seconds.
import { join } from "node:path";
import { brokerAdminService, loadFileDescriptors, messagingService } from "@cometmq/proto";
import {
  type BrokerConfiguration,
  type Clock,
  type Logger,
  listenHost,
  type Random,
} from "../base/index.ts";
import { Metrics, OpsServer, processMetrics } from "../ops/index.ts";
import type { Registrar } from "../registrar/index.ts";
import { type CertificateSource, GrpcServer } from "../transport/index.ts";
import { ClientTable } from "./clients/index.ts";
import { Delivery } from "./delivery/index.ts";
import { type KeyIndex, openKeyIndex } from "./index/index.ts";
import { type LevelSource, levelFolder, StateStore } from "./metadata/index.ts";
import { brokerMetrics, CallCounts, storeObserver } from "./metrics.ts";
import { Openings } from "./openings.ts";
import { feedRegistrar } from "./registration-feed.ts";
import {
  type AdminContext,
  type BrokerStatus,
  brokerAdminMethods,
  messagingMethods,
  type RemotingContext,
  Traffic,
} from "./remoting/index.ts";
import { type Disk, Store } from "./store/index.ts";
import { retentionOptions, storeOptions } from "./store-options.ts";
import { TrafficRates } from "./traffic-rates.ts";

/** What a broker stands on. */
export interface BrokerOptions {
  /** Of a broker, or of a standalone process. */
  readonly config: BrokerConfiguration;
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly logger: Logger;
  /** Makes the broker known; absent when no NameServer is configured. The broker closes it. */
  readonly registrar?: Registrar;
  /** Where the broker counts; its own by default. */
  readonly metrics?: Metrics;
  /** False: somebody else serves the metrics. */
  readonly ops?: boolean;
  /** Where the state lives; a folder beside the log by default. */
  readonly stateDatabase?: LevelSource;
  /** For operators. */
  readonly softwareVersion?: string;
}

/** How long calls that are under way may take to end at a close, milliseconds. */
const drainMs = 2_500;

/** A running broker. */
export class Broker {
  /** What it counts. */
  readonly metrics: Metrics;
  readonly #options: BrokerOptions;
  readonly #openings: Openings;
  readonly #startedAtMs: number;
  readonly #traffic = new Traffic();
  readonly #calls = new CallCounts();
  /** Why clients may not come; undefined when they may. */
  #notReady: string | undefined = "starting";
  #grpcPort = 0;
  #metricsPort = 0;
  #closing: Promise<void> | undefined;
  #store: Store | undefined;

  private constructor(options: BrokerOptions) {
    const { brokerClusterName, brokerName } = options.config.values;
    this.#options = options;
    this.#openings = new Openings(options.logger);
    this.#startedAtMs = options.clock.now();
    this.metrics =
      options.metrics ??
      new Metrics({ cluster: brokerClusterName, node_type: "broker", node_id: brokerName });
  }

  /**
   * Recovers the data folder and starts serving; resolves when clients may come. Throws FOLDER_IN_USE, CORRUPT (names
   * file and position), BAD_CONFIG (a port that is taken, a bad certificate), and what the disk throws.
   */
  static async open(options: BrokerOptions): Promise<Broker> {
    const broker = new Broker(options);
    try {
      await broker.#open();
    } catch (error) {
      await broker.#openings.close();
      await options.registrar?.close();
      throw error;
    }
    return broker;
  }

  /** The port that clients dial. */
  get grpcPort(): number {
    return this.#grpcPort;
  }

  /** The port of /metrics, /healthz and /readyz; 0 when somebody else serves them. */
  get metricsPort(): number {
    return this.#metricsPort;
  }

  /** Undefined when clients may come, else why not: a store that has failed takes nothing until a restart. */
  get notReady(): string | undefined {
    return this.#notReady ?? this.#store?.failure?.message;
  }

  /**
   * Leaves the NameServers, takes no new calls, ends held polls empty, answers sends that are under way, writes
   * progress and state, and gives the folder free. May be called again. Never rejects: failures are logged.
   */
  close(): Promise<void> {
    this.#notReady = "stopping";
    this.#closing ??= this.#openings.close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #open(): Promise<void> {
    const { config, logger } = this.#options;
    const { brokerName, brokerClusterName } = config.values;
    await this.#openOps();
    const { store, state } = await this.#openStorage();
    this.#store = store;
    const { metadata } = state;
    const { delivery, clients } = await this.#openDelivery(store, state);
    metadata.onChange(({ kind, name, config }) => {
      if (config !== undefined) return;
      if (kind === "topic") this.#traffic.forgetTopic(name);
      else this.#traffic.forgetGroup(name);
    });
    const rates = new TrafficRates(this.#traffic, this.#options.clock);
    this.#openings.add("rates", () => rates.close());
    const index = this.#openIndex(store);
    const parts = { store, metadata, delivery, canSend: true };
    const context: RemotingContext & AdminContext = {
      ...this.#options,
      ...parts,
      local: () => parts,
      standing: () => ({ kind: "master", epoch: store.epoch }),
      clients,
      traffic: this.#traffic,
      index,
      logger: logger.child("remoting"),
      listenPort: () => this.#grpcPort,
      isStopping: () => this.#closing !== undefined,
      brokerStatus: () => this.#status(store, rates),
    };
    await this.#serve(context);
    const { registrar } = this.#options;
    const measured = { ...context, store, delivery, index, registrar, calls: this.#calls };
    brokerMetrics(this.metrics, measured);
    if (registrar !== undefined) {
      const port = this.#grpcPort;
      const stop = feedRegistrar({ registrar, config, metadata, port, epoch: store.epoch });
      this.#openings.add("registrar", () => {
        stop();
        return registrar.close();
      });
    }
    this.#notReady = undefined;
    logger.info("broker is ready", {
      broker: brokerName,
      cluster: brokerClusterName,
      port: this.#grpcPort,
      epoch: store.epoch,
      nameServers: registrar?.status().length ?? "none, this broker serves its own routes only",
    });
  }

  async #openOps(): Promise<void> {
    if (this.#options.ops === false) return;
    const { config, logger } = this.#options;
    const measuring = processMetrics(this.metrics);
    this.#openings.add("process metrics", () => measuring.close());
    const ops = await OpsServer.listen({
      host: listenHost(config.values),
      port: config.values.metricsPromExporterPort,
      metrics: this.metrics,
      ready: () => this.notReady,
      logger: logger.child("ops"),
    });
    this.#openings.add("metrics", () => ops.close());
    this.#metricsPort = ops.port;
  }

  async #openStorage(): Promise<{ store: Store; state: StateStore }> {
    const { config, clock, random, disk, logger } = this.#options;
    const { values } = config;
    await this.#lockLogFolder();
    const store = await Store.open({
      ...storeOptions(values),
      disk,
      clock,
      logger: logger.child("store"),
      observer: storeObserver(this.metrics),
    });
    this.#openings.add("store", () => store.close());
    config.onChange(() => store.setRetention(retentionOptions(config.values)));
    const database =
      this.#options.stateDatabase ?? levelFolder(disk, join(values.storePathRootDir, "state"));
    const state = await StateStore.open({ database, store, clock, random, logger });
    this.#openings.add("state", () => state.close());
    store.restoreQueues(state.queueBounds());
    store.onExpire = { snapshot: () => state.snapshot() };
    await store.begin();
    await state.begin();
    return { store, state };
  }

  /** The store locks its own folder; a commit log elsewhere needs a lock of its own. */
  async #lockLogFolder(): Promise<void> {
    const { config, disk } = this.#options;
    const { storePathCommitLog, storePathRootDir } = config.values;
    if (storePathCommitLog.startsWith(join(storePathRootDir, "/"))) return;
    await disk.makeFolder(storePathCommitLog);
    const lock = await disk.lock(storePathCommitLog);
    this.#openings.add("log folder", () => lock.release());
  }

  #openIndex(store: Store): KeyIndex | undefined {
    const { config, clock, logger } = this.#options;
    const { messageIndexEnable, storePathCommitLog, storePathRootDir } = config.values;
    if (!messageIndexEnable) return undefined;
    const index = openKeyIndex({
      store,
      clock,
      logger,
      logFolder: storePathCommitLog,
      indexFolder: join(storePathRootDir, "index"),
    });
    this.#openings.add("index", () => index.close());
    return index;
  }

  async #openDelivery(
    store: Store,
    state: StateStore,
  ): Promise<{ delivery: Delivery; clients: ClientTable }> {
    const { config, clock, logger } = this.#options;
    const { brokerName } = config.values;
    const clients: ClientTable = new ClientTable({
      clock,
      logger: logger.child("clients"),
      onGone: (clientId, group) => delivery.clientGone(clientId, group),
    });
    const delivery = await Delivery.open({
      store,
      metadata: state.metadata,
      state,
      clock,
      logger: logger.child("delivery"),
      brokerName,
      isAlive: (clientId, group) => clients.isMember(clientId, group),
      renewMaxMs: () => config.values.renewMaxTimeMillis,
    });
    this.#openings.add("delivery", () => delivery.close());
    clients.start();
    this.#openings.add("clients", () => clients.close());
    return { delivery, clients };
  }

  async #serve(context: RemotingContext & AdminContext): Promise<void> {
    const { config, clock, logger } = this.#options;
    const { values } = config;
    const server = await GrpcServer.listen({
      host: listenHost(values),
      port: values.grpcServerPort,
      methods: new Map([...messagingMethods(context), ...brokerAdminMethods(context)]),
      services: {
        names: [messagingService.name, brokerAdminService.name],
        files: await loadFileDescriptors(),
      },
      tls: {
        mode: values["tls.server.mode"],
        certificate: this.#certificate(),
      },
      clock,
      logger: logger.child("transport"),
      observer: this.#calls,
    });
    this.#grpcPort = server.port;
    this.#openings.add("server", async () => {
      server.setServing(false);
      const drained = server.close({ graceMs: drainMs });
      for (const id of context.clients.ids()) context.local()?.delivery.endPolls(id);
      await drained;
    });
  }

  #certificate(): CertificateSource {
    const { tlsCertPath, tlsKeyPath, storePathRootDir } = this.#options.config.values;
    if (tlsCertPath === "") {
      return { kind: "selfSigned", folder: join(storePathRootDir, "tls") };
    }
    return { kind: "files", certificateFile: tlsCertPath, keyFile: tlsKeyPath };
  }

  #status(store: Store, rates: TrafficRates): BrokerStatus {
    const servers = this.#options.registrar?.status() ?? [];
    return {
      softwareVersion: this.#options.softwareVersion ?? "",
      startedAtMs: this.#startedAtMs,
      connections: this.#calls.connections,
      ...rates.now,
      rssBytes: process.memoryUsage.rss(),
      nameServers: Object.fromEntries(
        servers.map(({ address, state, reason }) => [
          address,
          state === "registered" ? "connected" : `${state}${reason === "" ? "" : `: ${reason}`}`,
        ]),
      ),
      diskUsageRatio: store.stats.diskUsedPercent / 100,
    };
  }
}
