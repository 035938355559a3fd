// The SDK against a real broker, held against the same SDK and calls on a no-op grpc-js server.
import { Producer, SimpleConsumer } from "@cometmq/client";
import { sendLoad } from "../load/raw-load.ts";
import { perSecond, type ReportRow } from "../report.ts";
import { sendRequest } from "../requests.ts";
import { type RunningServer, startBroker, startNoop } from "../servers.ts";

const seconds = 3;
const warmUpSeconds = 1;
const topic = "bench";
const body = Buffer.alloc(1024, "x");
const senders = 2000;
const receivers = 64;
/** Enough to receive from; the no-op server takes and forgets it. */
const backlog = { connections: 4, inFlight: 64, countMax: 150_000, secondsMax: 20 };

interface Rates {
  readonly batched: number;
  readonly single: number;
  readonly received: number;
}

/** Batched send, unbatched send, receive with acknowledgement: rate against the no-op server. */
export async function measureSdk(): Promise<ReportRow[]> {
  const noop = await ratesOf(await startNoop());
  const broker = await ratesOf(await startBroker(["--flushDiskType", "ASYNC_FLUSH"]));
  const row = (load: string, name: keyof Rates): ReportRow => ({
    load,
    measured: perSecond(broker[name]),
    baseline: `no-op grpc-js ${perSecond(noop[name])}`,
    figure: broker[name] / noop[name],
    bar: { atLeast: 0.8 },
  });
  return [
    row("SDK batched send 1 KiB", "batched"),
    row("SDK unbatched send 1 KiB", "single"),
    row("SDK receive + ack 1 KiB", "received"),
  ];
}

async function ratesOf(started: RunningServer): Promise<Rates> {
  await using server = started;
  const single = await sendRate(server, { concurrency: 64, batching: false });
  const batched = await sendRate(server, { concurrency: senders, batching: true });
  await sendLoad({ ...backlog, port: server.port, requests: [sendRequest(topic, body.length)] });
  return { single, batched, received: await receiveRate(server) };
}

async function sendRate(
  server: RunningServer,
  options: { readonly concurrency: number; readonly batching: boolean },
): Promise<number> {
  await using producer = new Producer({
    endpoints: `127.0.0.1:${server.port}`,
    topics: [topic],
    batching: options.batching,
  });
  await producer.startup();
  return await rateOf(options.concurrency, async () => {
    await producer.send({ topic, body });
    return 1;
  });
}

async function receiveRate(server: RunningServer): Promise<number> {
  await using consumer = new SimpleConsumer({
    endpoints: `127.0.0.1:${server.port}`,
    consumerGroup: "bench-group",
    subscriptions: new Map([[topic, "*"]]),
  });
  await consumer.startup();
  return await rateOf(receivers, async () => {
    const messages = await consumer.receive(32, 60_000);
    await Promise.all(messages.map((message) => consumer.ack(message)));
    return messages.length;
  });
}

/** Runs `work` in `concurrency` loops; counts what they return a second after the warm-up. */
async function rateOf(concurrency: number, work: () => Promise<number>): Promise<number> {
  const began = performance.now();
  const from = began + warmUpSeconds * 1000;
  const to = from + seconds * 1000;
  let counted = 0;
  const loop = async (): Promise<void> => {
    for (let now = performance.now(); now < to; now = performance.now()) {
      const done = await work();
      const after = performance.now();
      if (after >= from && after < to) counted += done;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  return counted / seconds;
}
