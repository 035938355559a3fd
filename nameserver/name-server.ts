// One NameServer: the registry, the gRPC port for brokers, clients and operators, and its metrics.
import { loadFileDescriptors, messagingService, nameServerService } from "@cometmq/proto";
import {
  type Clock,
  type Logger,
  listenHost,
  type NamesrvConfig,
  softwareVersion,
} from "../base/index.ts";
import { Metrics, OpsServer, type ProcessMetrics, processMetrics } from "../ops/index.ts";
import {
  type CertificateSource,
  GrpcServer,
  type MethodHandler,
  type TransportObserver,
} from "../transport/index.ts";
import { LocalBroker } from "./local-broker.ts";
import { nameServerMetrics } from "./name-server-metrics.ts";
import { operatorMethods } from "./operator-queries.ts";
import { messagingMethods } from "./query-route.ts";
import { registerMethod } from "./register.ts";
import { Registry } from "./registry.ts";

/** What a NameServer needs. */
export interface NameServerOptions {
  readonly config: NamesrvConfig;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where its metrics go when another server of this process serves them; else it opens its own HTTP port. */
  readonly metrics?: Metrics;
}

interface Ops {
  readonly server: OpsServer;
  readonly process: ProcessMetrics;
}

const closeGraceMs = 500;

/** A NameServer: keeps routes in memory, serves them, knows of no other NameServer. */
export class NameServer {
  readonly #options: NameServerOptions;
  readonly #registry: Registry;
  readonly #grpc: GrpcServer;
  readonly #ops: Ops | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    options: NameServerOptions,
    parts: {
      readonly registry: Registry;
      readonly grpc: GrpcServer;
      readonly ops: Ops | undefined;
    },
  ) {
    this.#options = options;
    this.#registry = parts.registry;
    this.#grpc = parts.grpc;
    this.#ops = parts.ops;
  }

  /** Listens. Throws BAD_CONFIG when an address or port cannot be had, or the certificate is unusable. */
  static async open(options: NameServerOptions): Promise<NameServer> {
    const { clock, logger } = options;
    const registry = new Registry({ clock, logger });
    const metrics = options.metrics ?? new Metrics({ node_type: "namesrv" });
    const calls = nameServerMetrics(metrics, registry);
    const grpc = await listen(options, registry, calls);
    let ops: Ops | undefined;
    if (options.metrics === undefined) {
      try {
        ops = await openOps(options, metrics);
      } catch (error) {
        await grpc.close({ graceMs: 0 });
        throw error;
      }
    }
    registry.start();
    return new NameServer(options, { registry, grpc, ops });
  }

  /** The port for brokers, clients and operators. */
  get port(): number {
    return this.#grpc.port;
  }

  /** The HTTP port of /metrics; undefined when another server of this process serves them. */
  get metricsPort(): number | undefined {
    return this.#ops?.server.port;
  }

  /** Registers a broker of this process. */
  attach(instanceId: string): LocalBroker {
    const { clock, logger } = this.#options;
    const facts = { instanceId, startedAtMs: clock.now(), softwareVersion };
    return new LocalBroker({ registry: this.#registry, facts, logger });
  }

  /** Ends all streams, answers what is in flight, closes within about a second. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#registry.close();
    await this.#grpc.close({ graceMs: closeGraceMs });
    this.#ops?.process.close();
    await this.#ops?.server.close();
  }
}

async function listen(
  { config, clock, logger }: NameServerOptions,
  registry: Registry,
  observer: TransportObserver,
): Promise<GrpcServer> {
  const methods = new Map<string, MethodHandler>([
    [nameServerService.methods.Register.path, registerMethod({ registry, logger })],
    ...operatorMethods(registry),
    ...messagingMethods(registry),
  ]);
  const files = await loadFileDescriptors();
  return await GrpcServer.listen({
    host: listenHost(config),
    port: config.listenPort,
    methods,
    services: { names: [nameServerService.name, messagingService.name], files },
    tls: {
      mode: config["tls.server.mode"],
      certificate: certificateOf(config),
    },
    clock,
    logger,
    observer,
  });
}

async function openOps(options: NameServerOptions, metrics: Metrics): Promise<Ops> {
  const server = await OpsServer.listen({
    host: listenHost(options.config),
    port: options.config.metricsPromExporterPort,
    metrics,
    ready: () => undefined,
    logger: options.logger,
  });
  return { server, process: processMetrics(metrics) };
}

function certificateOf(config: NamesrvConfig): CertificateSource {
  const { tlsCertPath, tlsKeyPath } = config;
  if (tlsCertPath === "") return { kind: "selfSigned" };
  return { kind: "files", certificateFile: tlsCertPath, keyFile: tlsKeyPath };
}
