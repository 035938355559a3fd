// What it costs to recognize repeated sends: distinct message ids, 1 KiB, to a broker that looks for each of them and to one
// that does not, in turns. The two of a round are held against each other, and the middle of all rounds is the figure: a
// round that something else disturbs does not count.
import { sendLoad } from "../load/raw-load.ts";
import type { ReportRow } from "../report.ts";
import { type IdentifiedSends, identifiedSends } from "../requests.ts";
import { type RunningServer, startBroker } from "../servers.ts";

const roundCount = 20_000;
const rounds = 21;
/** The first rounds warm up, and fill the window: it is at its dearest then. */
const warmUpRounds = 14;

interface Cost {
  readonly seconds: number;
  readonly cpuMs: number;
}

interface Round {
  readonly looking: Cost;
  readonly trusting: Cost;
}

/** Rate and CPU time of sends with the send window against those without it. */
export async function measureRetries(): Promise<ReportRow[]> {
  const flags = ["--flushDiskType", "ASYNC_FLUSH"];
  await using looking = await startBroker(flags);
  await using trusting = await startBroker([...flags, "--sendWindowCount", "0"]);
  const sends = identifiedSends("bench", 1024, roundCount);
  const measured: Round[] = [];
  for (let round = 0; round < rounds + warmUpRounds; round++) {
    sends.renew(round);
    // Who comes first in a round finds the machine in another state.
    const turns = round % 2 === 0 ? [looking, trusting] : [trusting, looking];
    const costs = new Map<RunningServer, Cost>();
    for (const server of turns) costs.set(server, await measure(server, sends));
    const [one, other] = [costs.get(looking), costs.get(trusting)];
    if (round < warmUpRounds || one === undefined || other === undefined) continue;
    measured.push({ looking: one, trusting: other });
  }
  const rate = (of: keyof Round): number =>
    Math.round(roundCount / median(measured, (round) => round[of].seconds));
  const cpuMicros = (of: keyof Round): string =>
    ((median(measured, (round) => round[of].cpuMs) * 1000) / roundCount).toFixed(1);
  return [
    {
      load: "send with the send window, distinct ids",
      measured: `${rate("looking")}/s`,
      baseline: `without ${rate("trusting")}/s`,
      figure: median(measured, (round) => round.trusting.seconds / round.looking.seconds),
      bar: { atLeast: 0.95 },
    },
    {
      load: "send with the send window, CPU time a message",
      measured: `${cpuMicros("looking")} µs`,
      baseline: `without ${cpuMicros("trusting")} µs`,
      figure: median(measured, (round) => round.looking.cpuMs / round.trusting.cpuMs),
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

function median(rounds: readonly Round[], of: (round: Round) => number): number {
  const sorted = rounds.map(of).toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
