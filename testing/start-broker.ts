// A whole server inside the calling process, for tests: free ports, a temporary folder, nothing left behind.
import {
  Configuration,
  type Logger,
  openLogger,
  silentLogger,
  standaloneRole,
  systemClock,
  systemRandom,
} from "../base/index.ts";
import { makeEphemeralFolder, Standalone } from "../standalone/index.ts";

/** How the server shall be. */
export interface StartBrokerOptions {
  /** Further configuration, as in a file: `{ maxMessageSize: "1m" }`. */
  readonly config?: Readonly<Record<string, string>>;
  /** Keep the data here, and leave it there at the end; a temporary folder by default. */
  readonly folder?: string;
  /** Print the server's log on standard error. Default false. */
  readonly log?: boolean;
}

/** A server that runs until it is closed. */
export interface TestBroker extends AsyncDisposable {
  /** `host:port` for clients: the `endpoints` of every RocketMQ 5 client. */
  readonly endpoints: string;
  /** `host:port` of the NameServer, for `mqadmin -n` and clients that take one. */
  readonly namesrvAddr: string;
  /** `host:port` of /metrics, /healthz and /readyz. */
  readonly metricsAddress: string;
  /** Stops the server and removes its temporary folder. */
  close(): Promise<void>;
}

/** Starts a server. Unknown topics and groups are created when first used. Throws MqError BAD_CONFIG for a bad configuration. */
export async function startBroker(options: StartBrokerOptions = {}): Promise<TestBroker> {
  const temporary = options.folder === undefined ? makeEphemeralFolder() : undefined;
  const remove = (): void => temporary?.remove();
  process.once("exit", remove);
  try {
    const configuration = Configuration.load(standaloneRole, {
      flags: {
        grpcServerPort: "0",
        namesrvPort: "0",
        metricsPromExporterPort: "0",
        flushDiskType: options.folder === undefined ? "ASYNC_FLUSH" : "SYNC_FLUSH",
        storePathRootDir: options.folder ?? temporary?.path ?? "",
        ...options.config,
      },
    });
    const logger: Logger =
      options.log === true ? await openLogger({ level: "debug", json: false }) : silentLogger;
    const clock = systemClock;
    const standalone = await Standalone.open({
      configuration,
      clock,
      random: systemRandom,
      logger,
    });
    const close = async (): Promise<void> => {
      await standalone.close();
      remove();
      process.off("exit", remove);
    };
    const { grpc, namesrv, metrics } = standalone.addresses;
    return {
      endpoints: grpc,
      namesrvAddr: namesrv,
      metricsAddress: metrics,
      close,
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    remove();
    process.off("exit", remove);
    throw error;
  }
}
