// What it costs to recognize repeated sends: distinct message ids, 1 KiB, to a broker that looks for each of them and to one
// that does not, in turns.
import { sendLoad } from "../load/raw-load.ts";
import type { ReportRow } from "../report.ts";
import { type IdentifiedSends, identifiedSends } from "../requests.ts";
import { type RunningServer, startBroker } from "../servers.ts";

const roundCount = 20_000;
const rounds = 12;
/** The first rounds warm up. */
const warmUpRounds = 2;

interface Cost {
  seconds: number;
  cpuMs: number;
}

/** Rate and CPU time of sends with the send window against those without it. */
export async function measureRetries(): Promise<ReportRow[]> {
  const flags = ["--flushDiskType", "ASYNC_FLUSH"];
  await using looking = await startBroker(flags);
  await using trusting = await startBroker([...flags, "--sendWindowCount", "0"]);
  const sends = identifiedSends("bench", 1024, roundCount);
  const costs = { looking: { seconds: 0, cpuMs: 0 }, trusting: { seconds: 0, cpuMs: 0 } };
  for (let round = 0; round < rounds + warmUpRounds; round++) {
    const turns = [
      { server: looking, cost: costs.looking },
      { server: trusting, cost: costs.trusting },
    ];
    // Who comes first in a round finds the machine in another state.
    if (round % 2 === 1) turns.reverse();
    for (const [turn, { server, cost }] of turns.entries()) {
      sends.renew(round * 2 + turn);
      await measure(server, sends, round >= warmUpRounds ? cost : undefined);
    }
  }
  const figures = {
    looking: figuresOf(costs.looking),
    trusting: figuresOf(costs.trusting),
  };
  return [
    {
      load: "send with the send window, distinct ids",
      measured: `${figures.looking.rate}/s`,
      baseline: `without ${figures.trusting.rate}/s`,
      figure: costs.trusting.seconds / costs.looking.seconds,
      bar: { atLeast: 0.95 },
    },
    {
      load: "send with the send window, CPU time a message",
      measured: `${figures.looking.cpuMicros} µs`,
      baseline: `without ${figures.trusting.cpuMicros} µs`,
      figure: costs.looking.cpuMs / costs.trusting.cpuMs,
      bar: { atMost: 1.05 },
    },
  ];
}

async function measure(
  server: RunningServer,
  { requests }: IdentifiedSends,
  cost: Cost | undefined,
): Promise<void> {
  const before = server.process.cpuMs();
  const load = { port: server.port, requests, connections: 4, inFlight: 64 };
  const { seconds } = await sendLoad({ ...load, countMax: roundCount, secondsMax: 60 });
  if (cost === undefined) return;
  cost.seconds += seconds;
  cost.cpuMs += server.process.cpuMs() - before;
}

function figuresOf({ seconds, cpuMs }: Cost): {
  readonly rate: number;
  readonly cpuMicros: string;
} {
  const count = rounds * roundCount;
  return { rate: Math.round(count / seconds), cpuMicros: ((cpuMs * 1000) / count).toFixed(1) };
}
