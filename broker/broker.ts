// One broker: puts its parts together, opens them in order, and closes them in order within five seconds.
import { join } from "node:path";
import { brokerAdminService, loadFileDescriptors, messagingService } from "@cometmq/proto";
import {
  type BrokerConfiguration,
  type Clock,
  type Logger,
  listenHost,
  MqError,
  type Random,
} from "../base/index.ts";
import { Metrics, OpsServer, processMetrics } from "../ops/index.ts";
import type { Registrar } from "../registrar/index.ts";
import { type CertificateSource, GrpcServer } from "../transport/index.ts";
import type { BrokerBounds } from "./bounds.ts";
import { BrokerContext } from "./broker-context.ts";
import { ClientTable } from "./clients/index.ts";
import { Cluster } from "./cluster/index.ts";
import { ElectedRole } from "./elected-role.ts";
import { FifoBrokers } from "./fifo-brokers.ts";
import { FixedRole } from "./fixed-role.ts";
import type { Network } from "./ha/index.ts";
import { haMetrics } from "./ha-metrics.ts";
import { HaView } from "./ha-view.ts";
import { LocalFeed } from "./local-feed.ts";
import type { LevelSource } from "./metadata/index.ts";
import { brokerMetrics, CallCounts, storeObserver } from "./metrics.ts";
import { Openings } from "./openings.ts";
import { ownHost } from "./own-host.ts";
import { noPeers, type Peers } from "./peers.ts";
import { registeredPeers } from "./registered-peers.ts";
import {
  type BrokerStatus,
  brokerAdminMethods,
  messagingMethods,
  orphanedTransactions,
  Traffic,
} from "./remoting/index.ts";
import { Replica } from "./replica.ts";
import { replicationNetwork } from "./replication-network.ts";
import type { Role } from "./role.ts";
import type { Disk } from "./store/index.ts";
import { timerMetrics, timerObserver } from "./timer-metrics.ts";
import { TrafficRates } from "./traffic-rates.ts";
import { transactionMetrics, transactionObserver } from "./transaction-metrics.ts";

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
  /** False: nobody may copy this broker's log, and no port is opened for that. */
  readonly replication?: boolean;
  /** How brokers of the group reach each other; the machine's network by default. */
  readonly network?: Network;
  /** Smaller ones, for tests. */
  readonly bounds?: BrokerBounds;
}

/** How long calls that are under way may take to end at a close, milliseconds. */
const drainMs = 2_500;

/** How long a start waits for the word of a NameServer, milliseconds. */
const firstAnswerMs = 500;

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
  #replica: Replica | undefined;
  #cluster: Cluster | undefined;
  #role: Role | undefined;
  /** Nothing is handed out any more: another broker rules, or none can. */
  #isDraining = false;

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

  /** The port that other brokers dial; 0 when there is none. */
  get haPort(): number {
    return this.#replica?.server.port ?? 0;
  }

  /** Undefined when clients may come, else why not: a store that has failed takes nothing until a restart. */
  get notReady(): string | undefined {
    if (this.#notReady !== undefined) return this.#notReady;
    const standing = this.#replica?.standing;
    if (standing?.kind === "none") return standing.reason;
    return this.#replica?.slot.current?.store.failure?.message;
  }

  /**
   * Leaves the NameServers, takes no new calls, ends held polls empty, answers sends that are under way, writes
   * progress and state, and gives the folder free. May be called again. Never rejects: failures are logged.
   */
  close(): Promise<void> {
    this.#notReady = "stopping";
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Calls are served until another broker has taken over, where one can. */
  async #close(): Promise<void> {
    await this.#role?.leave();
    this.#isDraining = true;
    await this.#openings.close();
  }

  async #open(): Promise<void> {
    const { config, clock, logger } = this.#options;
    const { brokerName, brokerClusterName } = config.values;
    await this.#openOps();
    const clients = this.#openClients();
    const replica = await this.#openReplica(clients);
    this.#replica = replica;
    const role = this.#makeRole(replica);
    const cluster = this.#openCluster(replica);
    const rates = new TrafficRates(this.#traffic, clock);
    this.#openings.add("rates", () => rates.close());
    const ha = new HaView(replica, role, clock);
    const context = new BrokerContext({
      config,
      clock,
      logger: logger.child("remoting"),
      clients,
      traffic: this.#traffic,
      replica,
      cluster,
      ha,
      listenPort: () => this.#grpcPort,
      isStopping: () => this.#isDraining,
      brokerStatus: () => this.#status(replica, rates),
    });
    this.#openings.add("role", () => role.close());
    await this.#serve(context);
    await role.start();
    this.#role = role;
    const { registrar } = this.#options;
    const traffic = this.#traffic;
    brokerMetrics(this.metrics, {
      config,
      replica,
      clients,
      traffic,
      registrar,
      calls: this.#calls,
    });
    haMetrics(this.metrics, ha);
    timerMetrics(this.metrics, replica);
    transactionMetrics(this.metrics, replica);
    const feed = new LocalFeed({ replica, traffic, registrar, config, grpcPort: this.#grpcPort });
    this.#openings.add("registrar", () => feed.close());
    await this.#refuseDouble(registrar);
    this.#notReady = undefined;
    logger.info("broker is ready", {
      broker: brokerName,
      cluster: brokerClusterName,
      port: this.#grpcPort,
      replication: replica.server.port === 0 ? "off" : `port ${replica.server.port}`,
      role: replica.standing.kind,
      epoch: replica.standing.epoch,
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

  #openClients(): ClientTable {
    const { clock, logger } = this.#options;
    const clients = new ClientTable({
      clock,
      logger: logger.child("clients"),
      onGone: (clientId, group) => {
        this.#replica?.local?.delivery.clientGone(clientId, group);
        this.#cluster?.clientGone(clientId);
      },
    });
    clients.start();
    this.#openings.add("clients", () => clients.close());
    return clients;
  }

  async #openReplica(clients: ClientTable): Promise<Replica> {
    const { config, clock, random, disk, logger, stateDatabase } = this.#options;
    const { values } = config;
    const isReplicated = this.#options.replication !== false;
    const network = this.#options.network ?? (await replicationNetwork(this.#options));
    const replica = await Replica.open({
      config,
      clock,
      random,
      disk,
      logger,
      observer: storeObserver(this.metrics),
      ...(stateDatabase === undefined ? {} : { stateDatabase }),
      bounds: this.#options.bounds,
      network,
      listen: isReplicated ? { host: listenHost(values), port: values.haListenPort } : undefined,
      instanceId: random.bytes(12).toString("hex"),
      grpcPort: () => this.#grpcPort,
      delivery: {
        isAlive: (clientId, group) => clients.isMember(clientId, group),
        renewMaxMs: () => config.values.renewMaxTimeMillis,
        pendingMax: config.values.popInflightMessageThreshold,
        pendingTotalMax: config.values.popInflightTotalThreshold,
        heldPollsMax: this.#options.bounds?.heldPollsMax,
      },
      timerReleased: timerObserver(this.metrics),
      producers: orphanedTransactions(clients),
      transactionFinished: transactionObserver(this.metrics),
    });
    this.#openings.add("replica", () => replica.close());
    return replica;
  }

  #openCluster(replica: Replica): Cluster {
    const { config, clock, registrar, logger } = this.#options;
    const local = (): Replica["local"] => replica.local;
    const cluster = new Cluster({
      registrar,
      config,
      clock,
      local,
      standing: () => replica.standing,
      forwardedCallsMax: this.#options.bounds?.forwardedCallsMax,
    });
    this.#cluster = cluster;
    this.#openings.add("cluster", () => cluster.close());
    const { view } = cluster;
    const fifoBrokers = new FifoBrokers({ view, clock, logger: logger.child("fifo"), local });
    this.#openings.add("brokers of message groups", () => fifoBrokers.close());
    return cluster;
  }

  #makeRole(replica: Replica): Role {
    const { values } = this.#options.config;
    if (!values.enableControllerMode) return new FixedRole(replica, this.#peers());
    return new ElectedRole({ replica, host: ownHost(values) });
  }

  /** A master of fixed roles whose name and id another live broker has must not serve beside it. Throws BAD_CONFIG. */
  async #refuseDouble(registrar: Registrar | undefined): Promise<void> {
    const { enableControllerMode, brokerRole } = this.#options.config.values;
    if (registrar === undefined || enableControllerMode || brokerRole === "SLAVE") return;
    const answer = await registrar.firstAnswer(firstAnswerMs);
    if (answer.kind === "refused") {
      throw new MqError(
        "BAD_CONFIG",
        `refused by the NameServer ${answer.address}: ${answer.reason}`,
      );
    }
  }

  #peers(): Peers {
    const { registrar, config } = this.#options;
    const { brokerName, brokerId, brokerClusterName: clusterName } = config.values;
    if (registrar === undefined) return noPeers;
    return registeredPeers(registrar, { brokerName, brokerId, clusterName });
  }

  async #serve(context: BrokerContext): Promise<void> {
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
      context.cluster.endPolls();
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

  #status(replica: Replica, rates: TrafficRates): BrokerStatus {
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
      diskUsageRatio: (replica.slot.current?.store.stats.diskUsedPercent ?? 0) / 100,
      delayedMessages: replica.slot.current?.state?.held.count("timer") ?? 0,
    };
  }
}
