// ReceiveMessage (32 a call) and AckMessage by a raw HTTP/2 client, in broker CPU time; and the drain of a backlog.
import { receiveLoad, sendLoad } from "../load/raw-load.ts";
import { perSecond, type ReportRow } from "../report.ts";
import { ackRequest, receivedHandle, receiveRequest, sendRequest } from "../requests.ts";
import { type RunningServer, startBroker, startNoop, withCpu } from "../servers.ts";
import { inTurns, median } from "../turns.ts";

const connections = 4;
const inFlight = 16;
const group = "bench-group";
/** Messages of 1 KiB that stay in the broker's memory. */
const tailRoundCount = 20_000;

/** CPU time for one message received and acknowledged against one no-op grpc-js call. */
export async function measureReceive(): Promise<ReportRow[]> {
  const noopMicros = await noopCallMicros();
  await using server = await startBroker(["--flushDiskType", "ASYNC_FLUSH"]);
  await fill(server, ["bench"], tailRoundCount);
  await drain(server, ["bench"], tailRoundCount);
  let cpuMs = 0;
  let messages = 0;
  let seconds = 0;
  for (let round = 0; round < 5; round++) {
    await fill(server, ["bench"], tailRoundCount);
    const drained = await withCpu(server, () => drain(server, ["bench"], tailRoundCount));
    cpuMs += drained.cpuMs;
    messages += drained.result.messages;
    seconds += drained.result.seconds;
  }
  const micros = (cpuMs * 1000) / messages;
  return [
    {
      load: "receive + ack 1 KiB, CPU a message",
      measured: `${micros.toFixed(1)} µs`,
      baseline: `no-op grpc-js call ${noopMicros.toFixed(1)} µs`,
      figure: micros / noopMicros,
      bar: { atMost: 0.34 },
      details: { perSecond: Math.round(messages / seconds) },
    },
  ];
}

/** 10,000 queues (1,000 topics of 10) against 8 queues, both directions, in turns. */
export async function measureQueues(): Promise<ReportRow[]> {
  const manyTopics = Array.from({ length: 1000 }, (_, index) => `bench-${index}`);
  await using many = await startQueues(manyTopics, 10);
  await using few = await startQueues(["bench"], 8);
  const sides = {
    measured: { server: many, topics: manyTopics },
    baseline: { server: few, topics: ["bench"] },
  };
  // Received in rounds that fit the broker's memory: what a backlog costs is a load of its own.
  const turns = await inTurns({ rounds: 7, warmUpRounds: 2 }, async (which) => {
    const { server, topics } = sides[which];
    const sent = await fill(server, topics, tailRoundCount);
    return { sent, received: await drain(server, topics, tailRoundCount) };
  });
  const row = (load: string, direction: "sent" | "received"): ReportRow => ({
    load,
    measured: perSecond(median(turns, ({ measured }) => measured[direction].perSecond)),
    baseline: `8 queues ${perSecond(median(turns, ({ baseline }) => baseline[direction].perSecond))}`,
    figure: median(
      turns,
      ({ measured, baseline }) => measured[direction].perSecond / baseline[direction].perSecond,
    ),
    bar: { atLeast: 0.8 },
  });
  return [
    row("send to 10,000 queues", "sent"),
    row("receive + ack from 10,000 queues", "received"),
  ];
}

/** A backlog of `count` messages: drain rate against tail rate, and memory meanwhile. */
export async function measureBacklog(count: number): Promise<ReportRow[]> {
  await using server = await startBroker(["--flushDiskType", "ASYNC_FLUSH"]);
  const tailCount = 100_000;
  await fill(server, ["tail"], tailCount);
  const tail = await drain(server, ["tail"], tailCount);
  await fill(server, ["bench"], count);
  const before = server.process.rssMb();
  let highest = before;
  const drained = await drain(server, ["bench"], count, () => {
    highest = Math.max(highest, server.process.rssMb());
  });
  return [
    {
      load: `drain of ${count / 1_000_000} million 1 KiB`,
      measured: perSecond(drained.perSecond),
      baseline: `tail ${perSecond(tail.perSecond)}`,
      figure: drained.perSecond / tail.perSecond,
      bar: { atLeast: 0.8 },
      details: { seconds: drained.seconds },
    },
    {
      load: "RSS growth during the drain",
      measured: `${highest.toFixed(0)} MB at most`,
      baseline: `${before.toFixed(0)} MB before`,
      figure: highest - before,
      bar: { atMost: 50 },
    },
  ];
}

/** A broker with these topics, of so many queues each, which have been used once. */
async function startQueues(topics: readonly string[], queues: number): Promise<RunningServer> {
  const server = await startBroker([
    ...["--flushDiskType", "ASYNC_FLUSH"],
    ...["--defaultTopicQueueNums", `${queues}`],
  ]);
  // The first message of a topic creates it: that is not what is measured here.
  await fill(server, topics, topics.length * queues);
  await drain(server, topics, topics.length * queues);
  await settled(server);
  return server;
}

/** Waits until the broker has done what new queues ask of the file system, 20 s at most. */
async function settled(server: RunningServer): Promise<void> {
  for (let waits = 0; waits < 40; waits++) {
    const before = server.process.cpuMs();
    await new Promise((resolve) => setTimeout(resolve, 500));
    if (server.process.cpuMs() - before <= 20) return;
  }
}

function fill(
  server: RunningServer,
  topics: readonly string[],
  count: number,
): ReturnType<typeof sendLoad> {
  return sendLoad({
    port: server.port,
    requests: topics.map((topic) => sendRequest(topic, 1024)),
    connections,
    inFlight: 64,
    countMax: count,
    secondsMax: 120,
  });
}

function drain(
  server: RunningServer,
  topics: readonly string[],
  count: number,
  onProgress?: () => void,
): ReturnType<typeof receiveLoad> {
  const topicOf = new Map(topics.map((topic) => [receiveRequest(topic, group), topic]));
  return receiveLoad({
    port: server.port,
    receives: [...topicOf.keys()],
    handleOf: receivedHandle,
    ackOf: (receive, entries) => ackRequest(topicOf.get(receive) ?? "", group, entries),
    connections,
    inFlight,
    countMax: count,
    secondsMax: 120,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
}

async function noopCallMicros(): Promise<number> {
  await using noop = await startNoop();
  const load = {
    port: noop.port,
    requests: [sendRequest("bench", 1024)],
    connections,
    inFlight: 64,
    secondsMax: 60,
  };
  await sendLoad({ ...load, countMax: 20_000 });
  const { result, cpuMs } = await withCpu(noop, () => sendLoad({ ...load, countMax: 60_000 }));
  return (cpuMs * 1000) / result.messages;
}
