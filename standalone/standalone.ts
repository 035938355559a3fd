// A NameServer and a broker in one process. Puts them together; each of them could run alone.
import {
  type Clock,
  type Configuration,
  formatAddress,
  type Logger,
  listenHost,
  MqError,
  type Random,
  type StandaloneConfig,
  softwareVersion,
} from "../base/index.ts";
import { Broker, nodeDisk } from "../broker/index.ts";
import { NameServer } from "../nameserver/index.ts";
import { Metrics, OpsServer, processMetrics } from "../ops/index.ts";
import { joinRegistrars, openGrpcRegistrar, type Registrar } from "../registrar/index.ts";
import { localRegistrar } from "./local-registrar.ts";

/** What a standalone server needs. */
export interface StandaloneOptions {
  readonly configuration: Configuration<StandaloneConfig>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Where a standalone server can be reached, `host:port` each. */
export interface StandaloneAddresses {
  /** For clients and operators. */
  readonly grpc: string;
  readonly namesrv: string;
  /** HTTP: /metrics, /healthz, /readyz. */
  readonly metrics: string;
}

type Opened = { readonly close: () => Promise<void> | void };

/** A running standalone server. */
export class Standalone {
  readonly addresses: StandaloneAddresses;
  /** Last opened first. */
  readonly #opened: readonly Opened[];
  #closing: Promise<void> | undefined;

  private constructor(addresses: StandaloneAddresses, opened: readonly Opened[]) {
    this.addresses = addresses;
    this.#opened = opened;
  }

  /** Starts all parts; resolves when clients may come. Throws what NameServer and Broker throw, and leaves nothing open then. */
  static async open(options: StandaloneOptions): Promise<Standalone> {
    const opened: Opened[] = [];
    try {
      const addresses = await openParts(options, opened);
      return new Standalone(addresses, opened);
    } catch (error) {
      await closeAll(opened);
      throw error;
    }
  }

  /** Drains and closes all parts, last opened first. */
  close(): Promise<void> {
    this.#closing ??= closeAll(this.#opened);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function closeAll(opened: readonly Opened[]): Promise<void> {
  for (const part of opened) await part.close();
}

async function openParts(
  options: StandaloneOptions,
  opened: Opened[],
): Promise<StandaloneAddresses> {
  const { configuration, clock, random, logger } = options;
  const { values } = configuration;
  const host = listenHost(values);
  const metrics = new Metrics({
    cluster: values.brokerClusterName,
    node_type: "broker",
    node_id: values.brokerName,
  });
  let broker: Broker | undefined;
  const ready = (): string | undefined => (broker === undefined ? "starting" : broker.notReady);
  const process = processMetrics(metrics);
  opened.unshift(process);
  const ops = await OpsServer.listen({
    host,
    port: values.metricsPromExporterPort,
    metrics,
    ready,
    logger: logger.child("ops"),
  });
  opened.unshift(ops);
  const nameServer = await openNameServer(options, metrics);
  opened.unshift(nameServer);
  const registrar = await openRegistrar(options, nameServer);
  broker = await Broker.open({
    config: configuration,
    clock,
    random,
    disk: nodeDisk,
    logger: logger.child("broker"),
    registrar,
    metrics,
    ops: false,
    softwareVersion,
    // A process of its own needs no port for others, unless somebody chooses one.
    replication: configuration.source("haListenPort") !== "default",
  });
  opened.unshift(broker);
  const at = (port: number): string => formatAddress({ host, port });
  return { grpc: at(broker.grpcPort), namesrv: at(nameServer.port), metrics: at(ops.port) };
}

async function openNameServer(
  { configuration, clock, logger }: StandaloneOptions,
  metrics: Metrics,
): Promise<NameServer> {
  const { namesrvPort, ...values } = configuration.values;
  try {
    const config = { ...values, listenPort: namesrvPort };
    return await NameServer.open({ config, clock, logger: logger.child("namesrv"), metrics });
  } catch (error) {
    if (!(error instanceof MqError) || error.code !== "BAD_CONFIG") throw error;
    throw new MqError("BAD_CONFIG", `namesrvPort: ${error.message}`, { cause: error });
  }
}

async function openRegistrar(
  { configuration, clock, random, logger }: StandaloneOptions,
  nameServer: NameServer,
): Promise<Registrar> {
  const addresses = configuration.values.namesrvAddr;
  const local = localRegistrar(nameServer.attach(random.bytes(12).toString("hex")), clock);
  if (addresses.length === 0) return local;
  const remote = await openGrpcRegistrar({
    addresses,
    clock,
    random,
    logger: logger.child("registrar"),
  });
  return joinRegistrars([local, remote]);
}
