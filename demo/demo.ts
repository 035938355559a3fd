// `npm run demo`: starts a broker, sends 10,000 messages through the SDK, receives and acknowledges
// them, prints what happened, and leaves nothing behind. Exit code 0 only if every message came, once.
import { Producer, SimpleConsumer } from "@cometmq/client";
import { BrokerProcess } from "./broker-process.ts";
import { ProgressBar } from "./progress-bar.ts";

const topic = "demo";
const messageCount = 10_000;
const bodySizeBytes = 1024;
const sendersCount = 256;
const receiversCount = 4;
const receiveCountMax = 32;
const limitMs = 60_000;
/** What the end may take of the limit, when the run itself was too slow. */
const endMs = 8_000;

interface Tally {
  readonly sendMs: number[];
  readonly sentIds: Set<string>;
  readonly seenIds: Set<string>;
  duplicates: number;
}

interface Outcome {
  readonly seconds: number;
  readonly memoryBytes: number | undefined;
}

/** One of several senders: takes the next number until all are sent. */
async function sendSome(
  producer: Producer,
  numbers: Iterator<number>,
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  for (let next = numbers.next(); next.done !== true; next = numbers.next()) {
    const body = Buffer.alloc(bodySizeBytes, `message ${next.value} `);
    const startMs = performance.now();
    const receipt = await producer.send({ topic, body, keys: [`${next.value}`] }, { signal });
    tally.sendMs.push(performance.now() - startMs);
    tally.sentIds.add(receipt.messageId);
  }
}

/** One of several receivers: receives and acknowledges until all came. */
async function receiveSome(
  consumer: SimpleConsumer,
  tally: Tally,
  done: AbortController,
  signal: AbortSignal,
): Promise<void> {
  while (!done.signal.aborted) {
    const poll = AbortSignal.any([signal, done.signal]);
    const messages = await consumer
      .receive(receiveCountMax, 30_000, { signal: poll })
      .catch((error: unknown) => {
        if (done.signal.aborted) return [];
        throw error;
      });
    for (const message of messages) {
      if (message.corrupted) throw new Error(`message ${message.messageId} came damaged`);
      if (tally.seenIds.has(message.messageId)) tally.duplicates++;
      tally.seenIds.add(message.messageId);
    }
    await Promise.all(messages.map((message) => consumer.ack(message, { signal })));
    if (tally.seenIds.size >= messageCount) done.abort();
  }
}

async function run(broker: BrokerProcess, tally: Tally, signal: AbortSignal): Promise<Outcome> {
  const { endpoints } = broker;
  await using producer = new Producer({ endpoints, topics: [topic] });
  await using consumer = new SimpleConsumer({
    endpoints,
    consumerGroup: "demo-group",
    subscriptions: new Map([[topic, "*"]]),
  });
  await producer.startup({ signal });
  await consumer.startup({ signal });
  const numbers = Array.from({ length: messageCount }, (_, index) => index).values();
  const done = new AbortController();
  const startMs = performance.now();
  await Promise.all([
    ...Array.from({ length: sendersCount }, () => sendSome(producer, numbers, tally, signal)),
    ...Array.from({ length: receiversCount }, () => receiveSome(consumer, tally, done, signal)),
  ]);
  const seconds = (performance.now() - startMs) / 1000;
  return { seconds, memoryBytes: await broker.memoryBytes(signal) };
}

function percentile(sorted: readonly number[], share: number): string {
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return `${value.toFixed(1)} ms`;
}

function printTable(tally: Tally, outcome: Outcome, lost: number): void {
  const sorted = tally.sendMs.toSorted((left, right) => left - right);
  const { memoryBytes } = outcome;
  const memory = memoryBytes === undefined ? "?" : `${(memoryBytes / 2 ** 20).toFixed(0)} MB`;
  const rate = Math.round(messageCount / outcome.seconds).toLocaleString("en");
  const rows = [
    ["sent", tally.sentIds.size.toLocaleString("en")],
    ["received", tally.seenIds.size.toLocaleString("en")],
    ["duplicates", `${tally.duplicates}`],
    ["lost", `${lost}`],
    ["rate", `${rate} messages/s sent, received and acknowledged, ${bodySizeBytes} bytes each`],
    ["send p50", percentile(sorted, 0.5)],
    ["send p99", `${percentile(sorted, 0.99)} with ${sendersCount} in flight`],
    ["memory", `${memory} broker, resident`],
  ];
  for (const [name, value] of rows) process.stdout.write(`${(name ?? "").padEnd(12)}${value}\n`);
}

/** Runs the demo; true when all came, once, and nothing is left behind. */
async function demo(): Promise<boolean> {
  const interrupted = new AbortController();
  process.once("SIGINT", () => interrupted.abort(new Error("interrupted")));
  process.once("SIGTERM", () => interrupted.abort(new Error("interrupted")));
  const late = AbortSignal.timeout(limitMs - endMs);
  const signal = AbortSignal.any([interrupted.signal, late]);
  const tally: Tally = { sendMs: [], sentIds: new Set(), seenIds: new Set(), duplicates: 0 };
  const broker = await BrokerProcess.start(signal);
  process.stdout.write(`broker at ${broker.endpoints}, ${messageCount} messages\n`);
  const bar = new ProgressBar(messageCount, () => ({
    sent: tally.sentIds.size,
    received: tally.seenIds.size,
  }));
  let outcome: Outcome | undefined;
  let failure: unknown;
  try {
    outcome = await run(broker, tally, signal);
  } catch (error) {
    failure = error;
  }
  bar.end();
  const left = await broker.stop();
  if (outcome === undefined) {
    const { sentIds, seenIds } = tally;
    process.stderr.write(
      `after ${sentIds.size} sent, ${seenIds.size} received: ${String(failure)}\n`,
    );
    return false;
  }
  const lost = [...tally.sentIds].filter((id) => !tally.seenIds.has(id)).length;
  printTable(tally, outcome, lost);
  if (left.length > 0) process.stderr.write(`the broker left behind: ${left.join(", ")}\n`);
  return tally.sentIds.size === messageCount && lost + tally.duplicates + left.length === 0;
}

try {
  process.exitCode = (await demo()) ? 0 : 1;
} catch (error) {
  process.stderr.write(`${String(error)}\n`);
  process.exitCode = 1;
}
