// Several consumers of two groups in real time: each group gets all, a group's members share, what fails comes
// again when it should, and what fails too often goes to the dead-letter topic.
import assert from "node:assert/strict";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { rocketmq } from "@cometmq/proto";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { brokerAdminService, messagingService, RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const { methods } = messagingService;
const admin = brokerAdminService.methods;
const ok = 20_000;
const invisibleMs = 10_000;
const nackMs = 700;
const latenessMaxMs = 100;

/** One time that a message was handed out. */
interface Seen {
  readonly consumer: string;
  readonly attempt: number;
  readonly atMs: number;
}

/** What a consumer does with a message, by the first word of its id. */
type Fate = "fine" | "late" | "lost" | "dead";

describe("consumers of several groups", function () {
  this.timeout(60_000);
  let fixture: BrokerFixture;
  const clients: RawClient[] = [];
  const consumers: Consumer[] = [];

  before(async () => {
    fixture = await startBroker();
  });

  after(async () => {
    for (const consumer of consumers) consumer.stop();
    for (const client of clients) client.close();
    await fixture.close();
  });

  function connect(clientId: string): RawClient {
    const client = new RawClient(fixture.endpoints, clientId);
    clients.push(client);
    return client;
  }

  function consume(clientId: string, group: string, topic: string): Consumer {
    const consumer = new Consumer(connect(clientId), group, topic);
    consumers.push(consumer);
    return consumer;
  }

  it("get each message as often and as soon as they should", async () => {
    const operator = connect("operator");
    await operator.call(admin.UpdateGroup, { name: "work", retryMaxTimes: 2 });
    const workers = ["w1", "w2", "w3"].map((id) => consume(id, "work", "t"));
    const audit = consume("a1", "audit", "t");
    await until("the polls", async () => (await heldPolls(fixture)) === 4);
    const delay = monitorEventLoopDelay({ resolution: 10 });
    delay.enable();
    const fates: readonly Fate[] = ["fine", "late", "lost", "dead"];
    const ids = Array.from({ length: 80 }, (_, index) => `${fates[index % 4]} ${index}`);
    for (const id of ids) await send(operator, "t", id);

    const worked = (id: string): Seen[] =>
      workers
        .flatMap((worker) => worker.seen.get(id) ?? [])
        .sort((one, other) => one.atMs - other.atMs);
    const timesOf: Readonly<Record<Fate, number>> = { fine: 1, late: 2, lost: 2, dead: 3 };
    await until(
      "all deliveries",
      () => ids.every((id) => worked(id).length >= timesOf[fateOf(id)]),
      20_000,
    );
    const dead = consume("d1", "undertaker", "%DLQ%work");
    await until("the dead letters", () => dead.seen.size >= ids.length / 4);
    delay.disable();
    const latestMs = latenessMaxMs + (2 * delay.max) / 1e6;

    for (const id of ids) {
      const seen = worked(id);
      const fate = fateOf(id);
      assert.deepEqual(
        seen.map(({ attempt }) => attempt),
        [1, 2, 3].slice(0, timesOf[fate]),
        id,
      );
      if (fate === "late") assertPause(seen, nackMs, latestMs);
      if (fate === "lost") assertPause(seen, invisibleMs, latestMs);
      assert.equal(audit.seen.get(id)?.length, 1, id);
    }
    for (const worker of workers) assert.ok(worker.seen.size > 0, "each worker gets a share");
    const deadIds = ids.filter((id) => fateOf(id) === "dead");
    assert.deepEqual(new Set(dead.seen.keys()), new Set(deadIds));
    for (const message of dead.messages) {
      assert.equal(message.topic?.name, "%DLQ%work");
      const origin = message.systemProperties?.deadLetterQueue;
      assert.deepEqual([origin?.topic, origin?.messageId], ["t", idOf(message)]);
      assert.deepEqual({ ...message.userProperties }, { a: "b" });
      assert.equal(Buffer.from(message.body).toString(), "hello");
    }
    await until("all to be settled", async () => {
      const { queues } = await operator.call(admin.GetConsumerProgress, { group: "work" });
      return queues.every(
        ({ pending, cursor, maxOffset }) => pending === 0 && cursor === maxOffset,
      );
    });
  });
});

/** Receives in a loop and does with each message what its id says. */
class Consumer {
  readonly seen = new Map<string, Seen[]>();
  readonly messages: rocketmq.v2.Message[] = [];
  readonly #client: RawClient;
  readonly #names: { readonly group: { name: string }; readonly topic: { name: string } };
  #cancel: () => void = () => {};
  #isStopped = false;

  constructor(client: RawClient, group: string, topic: string) {
    this.#client = client;
    this.#names = { group: { name: group }, topic: { name: topic } };
    this.#run().catch((error: unknown) => {
      if (!this.#isStopped) throw error;
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const call = this.#client.receive({
        group: this.#names.group,
        messageQueue: { topic: this.#names.topic, id: -1 },
        batchSize: 2,
        invisibleDuration: { seconds: invisibleMs / 1000 },
        longPollingTimeout: { seconds: 20 },
      });
      this.#cancel = () => call.cancel();
      const { messages } = await call.done;
      const atMs = performance.now();
      await Promise.all(messages.map((message) => this.#take(message, atMs)));
    }
  }

  async #take(message: rocketmq.v2.Message, atMs: number): Promise<void> {
    const id = idOf(message);
    const { deliveryAttempt, receiptHandle } = message.systemProperties ?? {};
    const attempt = deliveryAttempt ?? 0;
    const seen = { consumer: this.#client.clientId, attempt, atMs };
    this.seen.set(id, [...(this.seen.get(id) ?? []), seen]);
    this.messages.push(message);
    const fate = this.#names.group.name === "work" ? fateOf(id) : "fine";
    if (fate === "lost" && attempt === 1) return;
    if (fate === "dead" || (fate === "late" && attempt === 1)) {
      const invisibleDuration = fate === "dead" ? {} : { nanos: nackMs * 1e6 };
      const wish = { ...this.#names, receiptHandle, messageId: id, invisibleDuration };
      const nack = await this.#client.call(methods.ChangeInvisibleDuration, wish);
      assert.equal(nack.status?.code, ok, nack.status?.message);
      assert.notEqual(nack.receiptHandle, receiptHandle);
      return;
    }
    const entries = [{ messageId: id, receiptHandle }];
    const ack = await this.#client.call(methods.AckMessage, { ...this.#names, entries });
    assert.equal(ack.status?.code, ok, ack.status?.message);
  }
}

function assertPause(seen: readonly Seen[], pauseMs: number, latestMs: number): void {
  const [first, second] = seen;
  const elapsedMs = (second?.atMs ?? 0) - (first?.atMs ?? 0);
  // Clocks of client and broker start a little apart.
  const shown = `${elapsedMs} ms instead of ${pauseMs} ms, at most ${latestMs} ms more`;
  assert.ok(elapsedMs > pauseMs - 50 && elapsedMs < pauseMs + latestMs, shown);
}

function fateOf(id: string): Fate {
  return id.split(" ", 1)[0] as Fate;
}

function idOf(message: rocketmq.v2.Message): string {
  return message.systemProperties?.messageId ?? "";
}

async function send(client: RawClient, topic: string, messageId: string): Promise<void> {
  const answer = await client.call(methods.SendMessage, {
    messages: [
      {
        topic: { name: topic },
        userProperties: { a: "b" },
        systemProperties: { messageId },
        body: Buffer.from("hello"),
      },
    ],
  });
  assert.equal(answer.status?.code, ok, answer.status?.message);
}

async function heldPolls(fixture: BrokerFixture): Promise<number> {
  const text = await fixture.broker.metrics.text();
  return Number(/^cometmq_held_polls\{[^}]*\} (\d+)$/m.exec(text)?.[1] ?? 0);
}
