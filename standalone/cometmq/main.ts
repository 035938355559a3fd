// The program `cometmq`: a whole server in one process, for development, tests and small installations.
import { existsSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import {
  type Configuration,
  MqError,
  type StandaloneConfig,
  standaloneRole,
  systemClock,
  systemRandom,
} from "../../base/index.ts";
import { type EphemeralFolder, makeEphemeralFolder } from "../ephemeral-folder.ts";
import { warnOfExposure } from "../exposure.ts";
import { type Program, runProgram } from "../run-program.ts";
import type { StandaloneAddresses } from "../standalone.ts";

/** Runs `cometmq` with `argv` (without node and script). Ends the process. */
export function runCometmq(argv: readonly string[]): Promise<void> {
  let folder: EphemeralFolder | undefined;
  const program: Program<StandaloneConfig> = {
    name: "cometmq",
    usage: [
      "[--data DIR | --ephemeral] [--grpc-port N] [--namesrv-port N] [--metrics-port N]",
      "-c FILE [FLAGS]",
    ],
    summary:
      "Runs a whole server in one process: a NameServer and a master broker. Without flags the data is in ./data and the ports are 8081 (clients), 9876 (NameServer) and 5557 (metrics).",
    role: standaloneRole,
    shortcuts: {
      data: "storePathRootDir",
      "grpc-port": "grpcServerPort",
      "namesrv-port": "namesrvPort",
      "metrics-port": "metricsPromExporterPort",
      n: "namesrvAddr",
    },
    readyAddresses: ["grpc", "namesrv", "metrics"],
    adjust: (configuration) => {
      if (!configuration.values.ephemeral) return configuration;
      folder = makeEphemeralFolder();
      return ephemeral(configuration, folder.path);
    },
    start: async (configuration, logger) => {
      warnOfExposure(configuration.values, logger);
      // Loaded here, so that --help and wrong flags are answered without it.
      const { Standalone } = await import("../standalone.ts");
      const standalone = await Standalone.open({
        configuration,
        clock: systemClock,
        random: systemRandom,
        logger,
      });
      return {
        addresses: { ...standalone.addresses },
        hints: hints(configuration.values, standalone.addresses),
        close: () => standalone.close(),
      };
    },
    atExit: () => folder?.remove(),
  };
  return runProgram(program, argv);
}

/** Data in `path`, and no waiting for a disk whose data nobody will read again. */
function ephemeral(
  configuration: Configuration<StandaloneConfig>,
  path: string,
): Configuration<StandaloneConfig> {
  if (configuration.source("storePathRootDir") !== "default") {
    throw new MqError("BAD_CONFIG", "--ephemeral and a data folder exclude each other; give one");
  }
  const { values } = configuration;
  const chosen = configuration.source("flushDiskType") !== "default";
  return configuration.override({
    storePathRootDir: path,
    storePathCommitLog: "",
    flushDiskType: chosen ? values.flushDiskType : "ASYNC_FLUSH",
  });
}

function hints(values: StandaloneConfig, addresses: StandaloneAddresses): string[] {
  const mqadmin = mqadminCommand(dirname(process.argv[1] ?? ""));
  const nameServer = addresses.namesrv.replace(/^(?:0\.0\.0\.0|\[::\]):/, "127.0.0.1:");
  const data = values.ephemeral ? "removed at the end" : values.storePathRootDir;
  return [
    "",
    `Clients use ${addresses.grpc} as their endpoints. Data: ${data}. Try next:`,
    `  ${mqadmin} updateTopic -n ${nameServer} -c ${values.brokerClusterName} -t hello`,
    `  ${mqadmin} sendMessage -n ${nameServer} -t hello -p "Hello, CometMQ"`,
    `  ${mqadmin} consumeMessage -n ${nameServer} -t hello`,
    "",
  ];
}

/** How to call mqadmin from the working folder, when the server was started from `folder`. */
function mqadminCommand(folder: string): string {
  const bin = relative(process.cwd(), folder);
  if (!existsSync(join(folder, "mqadmin"))) return join("bin", "mqadmin");
  if (bin === "") return "./mqadmin";
  return bin.startsWith("..") ? join(folder, "mqadmin") : join(bin, "mqadmin");
}
