// The SDK against a real broker, held against the same SDK and calls on a no-op grpc-js server.
import { Producer, SimpleConsumer } from "@cometmq/client";
import { sendLoad } from "../load/raw-load.ts";
import { perSecond, type ReportRow } from "../report.ts";
import { sendRequest } from "../requests.ts";
import { type RunningServer, startBroker, startNoop } from "../servers.ts";
import { inTurns, median } from "../turns.ts";

const seconds = 3;
const warmUpSeconds = 1;
const topic = "bench";
const body = Buffer.alloc(1024, "x");
const senders = 2000;
const receivers = 32;
/** Messages that stay in the broker's memory; the no-op server takes and forgets them. */
const round = { connections: 4, inFlight: 64, countMax: 20_000, secondsMax: 20 };
const turns = { rounds: 6, warmUpRounds: 2 };

/** Batched send, unbatched send, receive with acknowledgement: rate against the no-op server. */
export async function measureSdk(): Promise<ReportRow[]> {
  const flush = ["--flushDiskType", "ASYNC_FLUSH"];
  const noop = await sendRates(await startNoop());
  const broker = await sendRates(await startBroker(flush));
  const received = await receiveRates(await startBroker(flush), await startNoop());
  const row = (load: string, [measured, baseline, figure]: Rates): ReportRow => ({
    load,
    measured: perSecond(measured),
    baseline: `no-op grpc-js ${perSecond(baseline)}`,
    figure,
    bar: { atLeast: 0.8 },
  });
  const ratesOf = (name: keyof typeof broker): Rates => [
    broker[name],
    noop[name],
    broker[name] / noop[name],
  ];
  return [
    row("SDK batched send 1 KiB", ratesOf("batched")),
    row("SDK unbatched send 1 KiB", ratesOf("single")),
    row("SDK receive + ack 1 KiB", received),
  ];
}

/** Measured, baseline, and the ratio. */
type Rates = readonly [number, number, number];

async function sendRates(
  started: RunningServer,
): Promise<{ readonly batched: number; readonly single: number }> {
  await using server = started;
  const single = await sendRate(server, { concurrency: 64, batching: false });
  const batched = await sendRate(server, { concurrency: senders, batching: true });
  return { single, batched };
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

/** In rounds that fit the broker's memory, like the no-op server's one answer. */
async function receiveRates(broker: RunningServer, noop: RunningServer): Promise<Rates> {
  await using measured = broker;
  await using baseline = noop;
  const servers = { measured, baseline };
  await using ofMeasured = await startConsumer(measured);
  await using ofBaseline = await startConsumer(baseline);
  const consumers = { measured: ofMeasured, baseline: ofBaseline };
  const rates = await inTurns(turns, async (which) => {
    const { port } = servers[which];
    await sendLoad({ ...round, port, requests: [sendRequest(topic, body.length)] });
    const began = performance.now();
    // Not to the last message: whoever asks for more than there is waits.
    const received = await receiveAll(consumers[which], round.countMax * 0.9);
    return (received * 1000) / (performance.now() - began);
  });
  return [
    median(rates, (turn) => turn.measured),
    median(rates, (turn) => turn.baseline),
    median(rates, (turn) => turn.measured / turn.baseline),
  ];
}

async function startConsumer(server: RunningServer): Promise<SimpleConsumer> {
  const consumer = new SimpleConsumer({
    endpoints: `127.0.0.1:${server.port}`,
    consumerGroup: "bench-group",
    subscriptions: new Map([[topic, "*"]]),
    awaitDuration: 5000,
  });
  await consumer.startup();
  return consumer;
}

/** Receives and acknowledges `countMax` messages or a few more; resolves when the last is acknowledged. */
async function receiveAll(consumer: SimpleConsumer, countMax: number): Promise<number> {
  let count = 0;
  const loop = async (): Promise<void> => {
    while (count < countMax) {
      const messages = await consumer.receive(32, 60_000);
      count += messages.length;
      await Promise.all(messages.map((message) => consumer.ack(message)));
    }
  };
  await Promise.all(Array.from({ length: receivers }, loop));
  return count;
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
