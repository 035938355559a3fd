// A program of ours with a bug that shows after the start.
import { namesrvRole } from "../../base/index.ts";
import { runProgram } from "../../standalone/run-program.ts";

await runProgram(
  {
    name: "crashing",
    usage: [""],
    summary: "Has a bug.",
    role: namesrvRole,
    shortcuts: { "metrics-port": "metricsPromExporterPort" },
    readyAddresses: [],
    start: async () => {
      setTimeout(() => {
        throw new Error("the bug");
      }, 50);
      return { addresses: {}, close: async () => {} };
    },
  },
  process.argv.slice(2),
);
