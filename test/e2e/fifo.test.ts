// Order within message groups in a real server: many consumers, some of which fail, and a broker that is killed.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type MessageView, Producer, SimpleConsumer } from "@cometmq/client";
import { type ProgramProcess, run, stopAll } from "./program-process.ts";
import { brokerAdminService, RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const groupCount = 500;
const messageCount = 10_000;
const consumerCount = 8;
const invisibleMs = 10_000;
/** Progress of so many milliseconds may be lost by a kill. */
const progressBoundMs = 1_000;
const topic = "orders";
const consumerGroup = "workers";

/** A message as consumers have seen it. */
interface Seen {
  readonly sequence: number;
  ackedMs: number | undefined;
  /** Its acknowledgement is on its way. */
  isLeaving: boolean;
  /** Who holds it, and until when it may be nobody else's. */
  holder: string | undefined;
  hiddenUntilMs: number;
  /** Its acknowledgement may have been forgotten: it may come once more. */
  mayReturn: boolean;
}

/** What has happened to each message group, and whether that is in order. */
class Ledger {
  /** By message group and sequence. */
  readonly #groups = new Map<string, (Seen | undefined)[]>();
  readonly problems: string[] = [];
  ackedCount = 0;
  redeliveredCount = 0;

  /** `askedMs`: when the receive began. What was in hand at a kill may come again. */
  took(consumer: string, askedMs: number, batch: readonly MessageView[]): void {
    const here = new Set<string>();
    for (const message of batch) {
      const group = message.messageGroup ?? "";
      const sequence = Number(message.body.toString());
      const seen = this.#groups.get(group) ?? [];
      this.#groups.set(group, seen);
      this.#checkBefore(seen, { name: `${group}/${sequence}`, sequence, group, consumer, here });
      here.add(`${group}/${sequence}`);
      const again = seen[sequence];
      if (again !== undefined) this.redeliveredCount += 1;
      if (again?.ackedMs !== undefined) {
        this.ackedCount -= 1;
        if (!again.mayReturn) {
          this.problems.push(`${group}/${sequence} came again after its acknowledgement`);
        }
      }
      const hiddenUntilMs = askedMs + invisibleMs;
      const held = { ackedMs: undefined, isLeaving: false, holder: consumer, mayReturn: false };
      seen[sequence] = { sequence, hiddenUntilMs, ...held };
    }
  }

  #checkBefore(
    seen: readonly (Seen | undefined)[],
    it: { name: string; sequence: number; group: string; consumer: string; here: Set<string> },
  ): void {
    const nowMs = performance.now();
    for (let before = 0; before < it.sequence; before++) {
      const other = seen[before];
      if (isDone(other) || it.here.has(`${it.group}/${before}`)) continue;
      this.problems.push(`${it.name} came to ${it.consumer} before ${before}`);
    }
    for (const other of seen) {
      if (other?.holder === undefined || isDone(other)) continue;
      if (it.here.has(`${it.group}/${other.sequence}`) || other.hiddenUntilMs <= nowMs) continue;
      this.problems.push(`${it.name} came while ${other.holder} held ${other.sequence}`);
    }
  }

  acking(group: string, sequence: number): void {
    const seen = this.#groups.get(group)?.[sequence];
    if (seen !== undefined) seen.isLeaving = true;
  }

  /** `isSure`: the server has said so; otherwise it may have done it, too. */
  acked(group: string, sequence: number, isSure: boolean): void {
    const seen = this.#groups.get(group)?.[sequence];
    if (seen === undefined || seen.ackedMs !== undefined) return;
    seen.ackedMs = performance.now();
    seen.holder = undefined;
    seen.mayReturn = !isSure;
    this.ackedCount += 1;
  }

  /** The broker was killed: what it had heard a moment ago may be forgotten, who holds what, too. */
  killed(atMs: number): void {
    for (const seen of [...this.#groups.values()].flat()) {
      if (seen === undefined) continue;
      seen.hiddenUntilMs = 0;
      seen.holder = undefined;
      if (seen.ackedMs !== undefined && seen.ackedMs > atMs - progressBoundMs) {
        seen.mayReturn = true;
      }
    }
  }
}

function isDone(seen: Seen | undefined): boolean {
  return seen !== undefined && (seen.ackedMs !== undefined || seen.isLeaving);
}

/** Takes and acknowledges; now and then it fails, or leaves without a word. */
class Worker {
  readonly name: string;
  readonly #ledger: Ledger;
  readonly #endpoints: string;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;
  #batchCount = 0;

  constructor(name: string, ledger: Ledger, endpoints: string) {
    this.name = name;
    this.#ledger = ledger;
    this.#endpoints = endpoints;
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const consumer = new SimpleConsumer({
        endpoints: this.#endpoints,
        consumerGroup,
        subscriptions: new Map([[topic, "*"]]),
        awaitDuration: 5_000,
      });
      await consumer.startup().catch(() => {});
      await this.#consume(consumer);
      await consumer.shutdown();
    }
  }

  /** Until it is stopped, or leaves with messages in hand as one does that is killed. */
  async #consume(consumer: SimpleConsumer): Promise<void> {
    const { signal } = this.#stopping;
    while (consumer.isRunning() && !signal.aborted) {
      const askedMs = performance.now();
      const receiving = consumer.receive(16, invisibleMs, { signal });
      const batch = await receiving.catch((): MessageView[] => []);
      this.#ledger.took(this.name, askedMs, batch);
      if (batch.length > 0 && ++this.#batchCount % 60 === 0) return;
      let isFine = true;
      for (const message of batch) isFine &&= await this.#settle(consumer, message);
    }
  }

  /** False: the message has failed, and those behind it of its message group are not looked at. */
  async #settle(consumer: SimpleConsumer, message: MessageView): Promise<boolean> {
    const group = message.messageGroup ?? "";
    const sequence = Number(message.body.toString());
    try {
      if (message.deliveryAttempt === 1 && (sequence + group.length) % 23 === 7) {
        await consumer.changeInvisibleDuration(message, 10_000);
        return false;
      }
    } catch {
      return false;
    }
    this.#ledger.acking(group, sequence);
    const isSure = await consumer.ack(message).then(
      () => true,
      () => false,
    );
    this.#ledger.acked(group, sequence, isSure);
    return isSure;
  }
}

describe("message groups in a real server", function () {
  this.timeout(180_000);
  let folder = "";
  let server: ProgramProcess;
  let address = "";

  async function start(): Promise<void> {
    const port = address === "" ? "0" : (address.split(":").at(-1) ?? "0");
    const ports = ["--grpc-port", port, "--namesrv-port", "0", "--metrics-port", "0"];
    server = run("cometmq", "--data", folder, ...ports);
    ({ grpc: address = "" } = await server.ready());
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-fifo-"));
    await start();
  });
  after(async () => {
    await stopAll();
    await rm(folder, { recursive: true, force: true });
  });

  it("come in order to one consumer at a time, whoever fails or dies", async () => {
    const operator = new RawClient(address);
    const { UpdateTopic } = brokerAdminService.methods;
    const made = await operator.call(UpdateTopic, { name: topic, messageType: "FIFO" });
    assert.equal(made.status?.code, 20_000, made.status?.message);
    operator.close();
    const ledger = new Ledger();
    const workers = Array.from(
      { length: consumerCount },
      (_, index) => new Worker(`worker ${index}`, ledger, address),
    );
    const producer = new Producer({ endpoints: address, topics: [topic] });
    await producer.startup();
    const sends: Promise<unknown>[] = [];
    for (let index = 0; index < messageCount; index++) {
      const sequence = Math.floor(index / groupCount);
      const messageGroup = `group ${index % groupCount}`;
      sends.push(producer.send({ topic, messageGroup, body: Buffer.from(`${sequence}`) }));
    }
    await Promise.all(sends);
    await until("half of them", () => ledger.ackedCount > messageCount / 2, 60_000);
    const killedMs = performance.now();
    await server.stop("SIGKILL");
    ledger.killed(killedMs);
    await start();
    await until("all of them", () => ledger.ackedCount === messageCount, 120_000).catch((error) => {
      throw new Error(`${error}: ${ledger.ackedCount} of ${messageCount} are done`);
    });
    await Promise.all(workers.map((worker) => worker.stop()));
    await producer.shutdown();
    assert.deepEqual(ledger.problems.slice(0, 5), []);
    assert.ok(ledger.redeliveredCount > 0, "nothing has failed");
  });
});
