// The SDK against real brokers and NameServers that are killed, stopped and restarted: two masters, no send fails.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConsumeResult, Producer, PushConsumer } from "@cometmq/client";
import { type ProgramProcess, run, stopAll } from "./program-process.ts";
import { until } from "./waiting.ts";

const topic = "orders";
const body = Buffer.from("hello");
/** What the product promises for sends after the death of a master. */
const gapMaxMs = 3_000;

/** Sends one message after the other, and keeps count. */
class SteadySender {
  readonly acknowledged = new Set<string>();
  readonly byBroker = new Map<string, number>();
  readonly failures: string[] = [];
  longestMs = 0;
  readonly #producer: Producer;
  readonly #end = new AbortController();
  readonly #done: Promise<unknown>;

  constructor(producer: Producer, lanes: number) {
    this.#producer = producer;
    this.#done = Promise.all(Array.from({ length: lanes }, () => this.#run()));
  }

  async #run(): Promise<void> {
    while (!this.#end.signal.aborted) {
      const startMs = performance.now();
      try {
        const receipt = await this.#producer.send({ topic, body });
        this.acknowledged.add(receipt.messageId);
        const { name } = receipt.messageQueue.broker;
        this.byBroker.set(name, (this.byBroker.get(name) ?? 0) + 1);
      } catch (error) {
        this.failures.push(String(error));
      }
      this.longestMs = Math.max(this.longestMs, performance.now() - startMs);
    }
  }

  /** Resolves when `count` more messages were acknowledged, by this broker where one is named. */
  async more(count: number, broker?: string): Promise<void> {
    const now = (): number =>
      broker === undefined ? this.acknowledged.size : (this.byBroker.get(broker) ?? 0);
    const before = now();
    const what = `${count} more acknowledgements; failures: ${this.failures.join()}`;
    await until(what, () => now() >= before + count, 20_000);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }
}

describe("the SDK and two masters", function () {
  this.timeout(90_000);
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "sdk-failover-"));
  });
  afterEach(async () => {
    await stopAll();
    await rm(folder, { recursive: true, force: true });
  });

  async function nameServer(port = "0"): Promise<{ program: ProgramProcess; address: string }> {
    const program = run("mqnamesrv", "--port", port, "--metrics-port", "0");
    return { program, address: (await program.ready())["namesrv"] ?? "" };
  }

  async function broker(
    name: string,
    nameServers: string,
    port = "0",
  ): Promise<{ program: ProgramProcess; address: string }> {
    const ports = ["--grpc-port", port, "--haListenPort", "0", "--metrics-port", "0"];
    const data = ["--data", join(folder, name), "--autoCreateTopicEnable", "true"];
    const program = run("mqbroker", "-n", nameServers, "--brokerName", name, ...ports, ...data);
    return { program, address: (await program.ready())["grpc"] ?? "" };
  }

  /** Two masters that both have the topic, a producer that knows the NameServers, and steady sends. */
  async function cluster(nameServers: string): Promise<{
    a: { program: ProgramProcess; address: string };
    b: { program: ProgramProcess; address: string };
    producer: Producer;
    sender: SteadySender;
  }> {
    const [a, b] = await Promise.all([
      broker("broker-a", nameServers),
      broker("broker-b", nameServers),
    ]);
    for (const { address } of [a, b]) {
      const { code, stderr } = await run("mqadmin", "updateTopic", "-b", address, "-t", topic)
        .ended;
      assert.equal(code, 0, stderr);
    }
    const producer = new Producer({ endpoints: nameServers, topics: [topic] });
    await until("both brokers in the route", async () => {
      const probe = new Producer({ endpoints: nameServers, topics: [topic] });
      try {
        await probe.startup();
        const receipts = [await probe.send({ topic, body }), await probe.send({ topic, body })];
        return new Set(receipts.map((receipt) => receipt.endpoints.facade)).size === 2;
      } catch {
        return false;
      } finally {
        await probe.shutdown();
      }
    });
    await producer.startup();
    return { a, b, producer, sender: new SteadySender(producer, 4) };
  }

  for (const signal of ["SIGKILL", "SIGTERM", "SIGSTOP"] as const) {
    it(`one master gets ${signal}: no send fails, and none takes ${gapMaxMs} ms`, async () => {
      const { address: names } = await nameServer();
      const { a, producer, sender } = await cluster(names);
      await sender.more(50, "broker-a");
      a.program.child.kill(signal);
      await sender.more(500, "broker-b");
      if (signal === "SIGSTOP") {
        a.program.child.kill("SIGCONT");
      } else {
        await a.program.ended;
        await broker("broker-a", names, a.address.split(":")[1]);
      }
      await sender.more(50, "broker-a");
      await sender.stop();
      assert.deepEqual(sender.failures, []);
      assert.ok(sender.longestMs < gapMaxMs, `the longest send took ${sender.longestMs} ms`);
      await producer.shutdown();
    });
  }

  it("NameServers die one after the other and come back empty: sends and receives go on", async () => {
    const [one, other] = await Promise.all([nameServer(), nameServer()]);
    const both = `${one.address};${other.address}`;
    const { producer, sender } = await cluster(both);
    const seen = new Set<string>();
    await using consumer = new PushConsumer({
      endpoints: both,
      consumerGroup: "g",
      subscriptions: new Map([[topic, "*"]]),
      messageListener: {
        consume: (message) => {
          seen.add(message.messageId);
          return ConsumeResult.SUCCESS;
        },
      },
    });
    await consumer.startup();
    await sender.more(50);
    one.program.child.kill("SIGSTOP");
    await sender.more(200);
    await other.program.stop("SIGKILL");
    await sender.more(200);
    await one.program.stop("SIGKILL");
    await sender.more(200);
    await nameServer(one.address.split(":")[1]);
    await sender.more(200);
    await sender.stop();
    assert.deepEqual(sender.failures, []);
    assert.ok(sender.longestMs < gapMaxMs, `the longest send took ${sender.longestMs} ms`);
    await until("all to be received", () => [...sender.acknowledged].every((id) => seen.has(id)));
    await producer.shutdown();
  });

  it("a single master is killed and started again: sends wait for it", async () => {
    const { address: names } = await nameServer();
    const first = await broker("broker-a", names);
    await using producer = new Producer({ endpoints: first.address, topics: [topic] });
    await producer.startup();
    const sender = new SteadySender(producer, 4);
    await sender.more(50);
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      await first.program.stop(signal);
      const { program } = await broker("broker-a", names, first.address.split(":")[1]);
      await sender.more(50);
      if (signal === "SIGKILL") await program.stop("SIGTERM");
    }
    await sender.stop();
    assert.deepEqual(sender.failures, []);
  });
});
