// What it costs to recognize repeated sends: distinct message ids, 1 KiB, to a broker that looks for each of them and to one
// that does not, in turns.
import { sendLoad } from "../load/raw-load.ts";
import type { ReportRow } from "../report.ts";
import { type IdentifiedSends, identifiedSends } from "../requests.ts";
import { type RunningServer, startBroker } from "../servers.ts";
import { inTurns, median } from "../turns.ts";

const roundCount = 20_000;
/** The first rounds fill the window, too: it is at its dearest then. */
const turns = { rounds: 21, warmUpRounds: 14 };

interface Cost {
  readonly seconds: number;
  readonly cpuMs: number;
}

/** Rate and CPU time of sends with the send window against those without it. */
export async function measureRetries(): Promise<ReportRow[]> {
  const flags = ["--flushDiskType", "ASYNC_FLUSH"];
  await using looking = await startBroker(flags);
  await using trusting = await startBroker([...flags, "--sendWindowCount", "0"]);
  const sends = identifiedSends("bench", 1024, roundCount);
  const servers = { measured: looking, baseline: trusting };
  const costs = await inTurns(turns, (which, round) => {
    sends.renew(round);
    return measure(servers[which], sends);
  });
  const rate = (of: keyof typeof servers): number =>
    Math.round(roundCount / median(costs, (turn) => turn[of].seconds));
  const cpuMicros = (of: keyof typeof servers): string =>
    ((median(costs, (turn) => turn[of].cpuMs) * 1000) / roundCount).toFixed(1);
  return [
    {
      load: "send with the send window, distinct ids",
      measured: `${rate("measured")}/s`,
      baseline: `without ${rate("baseline")}/s`,
      figure: median(costs, (turn) => turn.baseline.seconds / turn.measured.seconds),
      bar: { atLeast: 0.95 },
    },
    {
      load: "send with the send window, CPU time a message",
      measured: `${cpuMicros("measured")} µs`,
      baseline: `without ${cpuMicros("baseline")} µs`,
      figure: median(costs, (turn) => turn.measured.cpuMs / turn.baseline.cpuMs),
      bar: { atMost: 1.05 },
    },
  ];
}

async function measure(server: RunningServer, { requests }: IdentifiedSends): Promise<Cost> {
  const load = { port: server.port, requests, connections: 4, inFlight: 64 };
  const before = server.process.cpuMs();
  const { seconds } = await sendLoad({ ...load, countMax: roundCount, secondsMax: 60 });
  return { seconds, cpuMs: server.process.cpuMs() - before };
}
