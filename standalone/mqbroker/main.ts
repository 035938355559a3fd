// The program `mqbroker`: one broker.
import {
  type BrokerConfig,
  brokerRole,
  formatAddress,
  type Logger,
  listenHost,
  softwareVersion,
  systemClock,
  systemRandom,
} from "../../base/index.ts";
import { openGrpcRegistrar, type Registrar } from "../../registrar/index.ts";
import { warnOfExposure } from "../exposure.ts";
import { type Program, runProgram } from "../run-program.ts";

const program: Program<BrokerConfig> = {
  name: "mqbroker",
  usage: ["-c FILE [-n HOST:PORT[;HOST:PORT]] [FLAGS]"],
  summary:
    "Runs one broker: stores messages and gives them to consumers. FILE is RocketMQ's broker.conf; keys that have no meaning here are named in a warning.",
  role: brokerRole,
  shortcuts: {
    n: "namesrvAddr",
    data: "storePathRootDir",
    "grpc-port": "grpcServerPort",
    "metrics-port": "metricsPromExporterPort",
  },
  readyAddresses: ["grpc", "ha", "metrics"],
  start: async (configuration, logger) => {
    const { values } = configuration;
    warnOfExposure(values, logger);
    // Loaded here, so that --help and wrong flags are answered without it.
    const { Broker, nodeDisk } = await import("../../broker/index.ts");
    const registrar = await openRegistrar(values, logger);
    const broker = await Broker.open({
      config: configuration,
      clock: systemClock,
      random: systemRandom,
      disk: nodeDisk,
      logger,
      softwareVersion,
      ...(registrar === undefined ? {} : { registrar }),
    });
    const host = listenHost(values);
    return {
      addresses: {
        grpc: formatAddress({ host, port: broker.grpcPort }),
        ha: formatAddress({ host, port: broker.haPort }),
        metrics: formatAddress({ host, port: broker.metricsPort }),
      },
      close: () => broker.close(),
    };
  },
};

async function openRegistrar(
  { namesrvAddr }: BrokerConfig,
  logger: Logger,
): Promise<Registrar | undefined> {
  if (namesrvAddr.length === 0) {
    logger.warn(
      "NO NAMESERVER CONFIGURED (namesrvAddr, -n): clients and operators find this broker by its own address only",
    );
    return undefined;
  }
  return await openGrpcRegistrar({
    addresses: namesrvAddr,
    clock: systemClock,
    random: systemRandom,
    logger: logger.child("registrar"),
  });
}

/** Runs `mqbroker` with `argv` (without node and script). Ends the process. */
export function runMqbroker(argv: readonly string[]): Promise<void> {
  return runProgram(program, argv);
}
