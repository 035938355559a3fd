// An SQL filter that matches a tenth of a topic, against receiving all of it: 1 KiB, by raw HTTP/2 clients.
import { receiveLoad, sendLoad } from "../load/raw-load.ts";
import { perSecond, type ReportRow } from "../report.ts";
import { ackRequest, receivedHandle, receiveRequest, sendRequest } from "../requests.ts";
import { type RunningServer, startBroker, withCpu } from "../servers.ts";

const connections = 4;
/** Messages that stay in the broker's memory. */
const roundCount = 20_000;
const rounds = 8;
/** One of so many messages matches. */
const matchEach = 10;

/** How fast a group gets through a topic when a filter takes a tenth, against when it takes all. */
export async function measureFilter(): Promise<ReportRow[]> {
  await using server = await startBroker(["--flushDiskType", "ASYNC_FLUSH"]);
  const normal = await drains(server, { topic: "all", count: roundCount });
  const sql = "region = 'eu' AND n BETWEEN 7 AND 7.5";
  const filtered = await drains(server, { topic: "tenth", count: roundCount / matchEach, sql });
  return [
    {
      load: "SQL filter at 10 % match, messages looked at",
      measured: perSecond(filtered.lookedAt),
      baseline: `NORMAL receive ${perSecond(normal.lookedAt)}`,
      figure: filtered.lookedAt / normal.lookedAt,
      bar: { atLeast: 1 },
      details: {
        deliveredPerSecond: Math.round(filtered.lookedAt / matchEach),
        cpuMicrosLookedAt: Number(filtered.cpuMicros.toFixed(2)),
        cpuMicrosNormal: Number(normal.cpuMicros.toFixed(2)),
      },
    },
  ];
}

/** Fills and drains the topic in rounds: messages of the topic a second, and the broker's CPU time for each. */
async function drains(
  server: RunningServer,
  wish: { readonly topic: string; readonly count: number; readonly sql?: string },
): Promise<{ readonly lookedAt: number; readonly cpuMicros: number }> {
  const { topic, count } = wish;
  const group = `bench-${topic}`;
  const receive = receiveRequest(topic, group, wish.sql);
  const requests = Array.from({ length: matchEach }, (_, n) => {
    const userProperties = { n: String(n), region: "eu", customer: `customer ${n}` };
    return sendRequest(topic, 1024, { userProperties });
  });
  const common = { port: server.port, connections, secondsMax: 120 };
  let seconds = 0;
  let cpuMs = 0;
  // The first round makes topic and group, and warms up.
  for (let round = 0; round <= rounds; round++) {
    await sendLoad({ ...common, requests, countMax: roundCount, inFlight: 64 });
    const drained = await withCpu(server, () =>
      receiveLoad({
        ...common,
        receives: [receive],
        handleOf: receivedHandle,
        ackOf: (_, entries) => ackRequest(topic, group, entries),
        countMax: count,
        inFlight: 16,
      }),
    );
    if (round === 0) continue;
    seconds += drained.result.seconds;
    cpuMs += drained.cpuMs;
  }
  const messages = rounds * roundCount;
  return { lookedAt: messages / seconds, cpuMicros: (cpuMs * 1000) / messages };
}
