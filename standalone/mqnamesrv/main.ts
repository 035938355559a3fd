// The program `mqnamesrv`: one NameServer.
import {
  formatAddress,
  listenHost,
  type NamesrvConfig,
  namesrvRole,
  systemClock,
} from "../../base/index.ts";
import { warnOfExposure } from "../exposure.ts";
import { type Program, runProgram } from "../run-program.ts";

const program: Program<NamesrvConfig> = {
  name: "mqnamesrv",
  usage: ["[--port N] [-c FILE] [FLAGS]"],
  summary:
    "Runs a NameServer: brokers register with it, clients and operators ask it where topics are. It keeps everything in memory and knows of no other NameServer; run as many as you like.",
  role: namesrvRole,
  shortcuts: { port: "listenPort", "metrics-port": "metricsPromExporterPort" },
  readyAddresses: ["namesrv", "metrics"],
  start: async (configuration, logger) => {
    const { values } = configuration;
    warnOfExposure(values, logger);
    // Loaded here, so that --help and wrong flags are answered without it.
    const { NameServer } = await import("../../nameserver/index.ts");
    const nameServer = await NameServer.open({ config: values, clock: systemClock, logger });
    const host = listenHost(values);
    return {
      addresses: {
        namesrv: formatAddress({ host, port: nameServer.port }),
        metrics: formatAddress({ host, port: nameServer.metricsPort ?? 0 }),
      },
      close: () => nameServer.close(),
    };
  },
};

/** Runs `mqnamesrv` with `argv` (without node and script). Ends the process. */
export function runMqnamesrv(argv: readonly string[]): Promise<void> {
  return runProgram(program, argv);
}
