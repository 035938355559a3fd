// Delayed messages: how late they come, what a burst of them does to sends, and what a million that wait cost.
// `npx tsx bench/timers.ts lateness|burst|pending [count] [seconds]` prints figures; all three by default.
import { brokerAdminService, messagingService } from "@cometmq/proto";
import {
  framed,
  headerBlockFor,
  messagesIn,
  RawConnection,
  type RawRequest,
} from "./load/raw-connection.ts";
import { circumstances } from "./report.ts";
import { ackRequest, receiveRequest, sendRequest } from "./requests.ts";
import { type RunningServer, startBroker, withCpu } from "./servers.ts";

const { methods } = messagingService;
const clientHeaders = { "x-mq-client-id": "bench", "x-mq-language": "JAVA" };
const sendHeaders = headerBlockFor(methods.SendMessage.path, clientHeaders);
const topic = "delayed";
const group = "bench-group";
const body = Buffer.alloc(1_024, "x");
const ok = 20_000;

function delayedRequest(index: number, dueMs: number): RawRequest {
  const systemProperties = {
    messageId: `01A2B3C4D5E6F70819${String(index).padStart(16, "0")}`,
    bodyEncoding: 1,
    messageType: 3,
    bornTimestamp: { seconds: 1_700_000_000 },
    bornHost: "bench",
    deliveryTimestamp: { seconds: Math.floor(dueMs / 1000), nanos: (dueMs % 1000) * 1e6 },
  };
  const messages = [{ topic: { name: topic }, systemProperties, body }];
  return {
    headerBlock: sendHeaders,
    body: framed(methods.SendMessage.request.encode({ messages })),
  };
}

/** One call; resolves when it is answered. */
async function call(port: number, request: RawRequest): Promise<Buffer> {
  let answer: Buffer | undefined;
  let isAsked = false;
  const connection = await RawConnection.open(port, {
    inFlight: 1,
    collect: true,
    next: () => {
      if (isAsked) return undefined;
      isAsked = true;
      return request;
    },
    onResponse: (bytes) => (answer = bytes),
  });
  await until(() => answer !== undefined);
  connection.close();
  return answer ?? Buffer.alloc(0);
}

async function makeTopics({ port }: RunningServer): Promise<void> {
  const { UpdateTopic } = brokerAdminService.methods;
  for (const [name, messageType] of [
    [topic, "DELAY"],
    ["plain", "NORMAL"],
  ] as const) {
    const wish = { name, messageType, readQueues: 8, writeQueues: 8 };
    const bytes = framed(UpdateTopic.request.encode(wish));
    await call(port, { headerBlock: headerBlockFor(UpdateTopic.path, clientHeaders), body: bytes });
  }
}

/** Sends delayed messages as fast as they are taken. Gives messages a second. */
async function sendDelayed(
  { port }: RunningServer,
  count: number,
  dueOf: (index: number) => number,
): Promise<number> {
  let sent = 0;
  let answered = 0;
  const began = performance.now();
  const onResponse = (bytes: Buffer): void => {
    for (const message of messagesIn(bytes)) {
      const { status } = methods.SendMessage.response.decode(message);
      if (status?.code !== ok) throw new Error(`refused: ${status?.message}`);
    }
    answered += 1;
  };
  const next = (): RawRequest | undefined =>
    sent < count ? delayedRequest(sent, dueOf(sent++)) : undefined;
  const connections = await Promise.all(
    Array.from({ length: 4 }, () =>
      RawConnection.open(port, { inFlight: 64, collect: true, next, onResponse }),
    ),
  );
  await until(() => answered >= count);
  for (const connection of connections) connection.close();
  return (count * 1000) / (performance.now() - began);
}

interface Received {
  /** Milliseconds from its time to its receipt here, by message. */
  readonly lateness: number[];
  duplicates: number;
  early: number;
  close(): void;
}

/** Receives and acknowledges delayed messages, and notes how late they come. */
async function receiveDelayed({ port }: RunningServer): Promise<Received> {
  const seen = new Set<string>();
  const acks: RawRequest[] = [];
  const receive = receiveRequest(topic, group);
  const received: Received = { lateness: [], duplicates: 0, early: 0, close: () => {} };
  const onResponse = (bytes: Buffer, request: RawRequest): void => {
    if (request !== receive) return;
    const nowMs = Date.now();
    const entries = [];
    for (const frame of messagesIn(bytes)) {
      const system = methods.ReceiveMessage.response.decode(frame).message?.systemProperties;
      if (system === undefined || system === null) continue;
      const { seconds, nanos } = system.deliveryTimestamp ?? {};
      const latenessMs = nowMs - ((seconds ?? 0) * 1000 + (nanos ?? 0) / 1e6);
      received.lateness.push(latenessMs);
      if (latenessMs < 0) received.early += 1;
      if (seen.has(system.messageId)) received.duplicates += 1;
      seen.add(system.messageId);
      entries.push({ messageId: system.messageId, receiptHandle: system.receiptHandle ?? "" });
    }
    if (entries.length > 0) acks.push(ackRequest(topic, group, entries));
  };
  const connections = await Promise.all(
    Array.from({ length: 4 }, () =>
      RawConnection.open(port, {
        inFlight: 8,
        collect: true,
        next: () => acks.pop() ?? receive,
        onResponse,
      }),
    ),
  );
  received.close = () => {
    for (const connection of connections) connection.close();
  };
  return received;
}

interface Probe {
  readonly latencies: number[];
  close(): void;
}

/** Sends plain messages one after the other, and notes how long each takes. */
async function probeSends({ port }: RunningServer): Promise<Probe> {
  const latencies: number[] = [];
  const request = sendRequest("plain", 1_024);
  let sentAt = 0;
  const connection = await RawConnection.open(port, {
    inFlight: 1,
    next: () => {
      sentAt = performance.now();
      return request;
    },
    onResponse: () => void latencies.push(performance.now() - sentAt),
  });
  return { latencies, close: () => connection.close() };
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function spread(values: readonly number[]): string {
  const at = (share: number): string => percentile(values, share).toFixed(1);
  return `p50 ${at(0.5)} p99 ${at(0.99)} p99.9 ${at(0.999)} max ${at(1)} ms`;
}

async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await new Promise((resolve) => setTimeout(resolve, 20));
}

async function untilMs(ms: number): Promise<void> {
  await until(() => Date.now() >= ms);
}

/** Messages due at random moments of so many seconds. */
async function lateness(count: number, seconds: number): Promise<void> {
  await using server = await startBroker();
  await makeTopics(server);
  const beginMs = Date.now() + 25_000;
  const rate = await sendDelayed(
    server,
    count,
    () => beginMs + Math.floor(Math.random() * seconds * 1000),
  );
  console.log(`taken: ${count} at ${Math.round(rate)}/s`);
  await untilMs(beginMs - 3_000);
  const quiet = await probeSends(server);
  await untilMs(beginMs - 500);
  quiet.close();
  const received = await receiveDelayed(server);
  const busy = await probeSends(server);
  const { cpuMs } = await withCpu(server, () => untilMs(beginMs + seconds * 1000 + 2_000));
  busy.close();
  received.close();
  const { lateness: values, early, duplicates } = received;
  console.log(`due within ${seconds} s: ${values.length} of ${count} came, ${spread(values)}`);
  console.log(`early ${early}, twice ${duplicates}, lost ${count - values.length + duplicates}`);
  console.log(`sends beside: ${spread(busy.latencies)}; before: ${spread(quiet.latencies)}`);
  console.log(`broker: ${Math.round(server.process.rssMb())} MB, ${Math.round(cpuMs)} ms of CPU`);
}

/** Messages due all at once. */
async function burst(count: number): Promise<void> {
  await using server = await startBroker();
  await makeTopics(server);
  const beginMs = Date.now() + 25_000;
  await sendDelayed(server, count, () => beginMs);
  await untilMs(beginMs - 2_500);
  const quiet = await probeSends(server);
  await untilMs(beginMs - 200);
  quiet.close();
  const received = await receiveDelayed(server);
  const busy = await probeSends(server);
  await until(() => received.lateness.length >= count || Date.now() > beginMs + 60_000);
  const tookMs = Date.now() - beginMs;
  busy.close();
  received.close();
  console.log(
    `burst of ${count}: all received after ${tookMs} ms (${Math.round((count * 1000) / tookMs)}/s), ` +
      `twice ${received.duplicates}, early ${received.early}`,
  );
  console.log(`sends beside: ${spread(busy.latencies)}; before: ${spread(quiet.latencies)}`);
}

/** Messages that wait for a year. */
async function pending(count: number): Promise<void> {
  await using server = await startBroker(["--flushDiskType", "ASYNC_FLUSH"]);
  await makeTopics(server);
  await sendDelayed(server, 2_000, () => Date.now() + 31_536_000_000);
  await new Promise((resolve) => setTimeout(resolve, 12_000));
  const before = server.process.rssMb();
  const rate = await sendDelayed(server, count, (index) => Date.now() + 31_536_000_000 + index);
  const during = server.process.rssMb();
  await new Promise((resolve) => setTimeout(resolve, 15_000));
  const after = server.process.rssMb();
  console.log(
    `${count} waiting: ${Math.round(before)} MB before, ${Math.round(during)} MB at their end, ` +
      `${Math.round(after)} MB at rest; taken at ${Math.round(rate)}/s`,
  );
}

const [wanted, first, second] = process.argv.slice(2);
const loads = {
  lateness: () => lateness(Number(first ?? 100_000), Number(second ?? 60)),
  burst: () => burst(Number(first ?? 100_000)),
  pending: () => pending(Number(first ?? 1_000_000)),
};
console.log(JSON.stringify(circumstances()));
for (const [name, run] of Object.entries(loads)) {
  if (wanted === undefined || wanted === name) await run();
}
