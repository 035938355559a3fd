// Offsets over kill -9: a real broker, killed in the middle of commits.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PullConsumer } from "@cometmq/client";
import { Code, messagingService } from "@cometmq/proto";
import { ProgramProcess, run, stopAll } from "./program-process.ts";
import { brokerAdminService, RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";

const { methods } = messagingService;
const topic = { name: "t" };
const queueCount = 4;

describe("offsets and a broker that is killed with -9", function () {
  this.timeout(90_000);
  let folder: string;
  let broker: ProgramProcess;
  let address = "";
  const clients: RawClient[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "pull-crash-"));
    await start("0");
    const wish = { name: "t", readQueues: queueCount, writeQueues: queueCount };
    await client().call(brokerAdminService.methods.UpdateTopic, wish);
  });
  afterEach(async () => {
    for (const one of clients.splice(0)) one.close();
    await stopAll();
    await rm(folder, { recursive: true, force: true });
  });

  async function start(port: string): Promise<void> {
    broker = run(
      "cometmq",
      ...["--data", join(folder, "data"), "--grpc-port", port],
      ...["--namesrv-port", "0", "--metrics-port", "0"],
    );
    address = (await broker.ready())["grpc"] ?? "";
  }

  async function killAndStart(): Promise<void> {
    await broker.stop("SIGKILL");
    await start(address.slice(address.lastIndexOf(":") + 1));
  }

  function client(): RawClient {
    const raw = new RawClient(address);
    clients.push(raw);
    return raw;
  }

  async function send(queueId: number, count: number): Promise<void> {
    const sender = client();
    const messages = Array.from({ length: count }, (_unused, index) => ({
      topic,
      systemProperties: {
        messageId: `${queueId}-${index}`,
        messageType: 1,
        bodyEncoding: 1,
        queueId,
      },
      body: Buffer.from("x"),
    }));
    const { status } = await sender.call(methods.SendMessage, { messages });
    assert.equal(status?.code, Code.OK, status?.message);
  }

  it("are those that were acknowledged last, or newer; also those that went back", async () => {
    // Queue 0 is what a sender means that does not choose.
    const queues = [1, 2, 3];
    for (const queueId of queues) await send(queueId, 200);
    /** By group and queue: what was acknowledged last, and what was asked for after that. */
    const told = new Map<string, { acknowledged: number; asked: number }>();
    for (let round = 0; round < 3; round++) {
      const over = new AbortController();
      let acknowledgedCount = 0;
      const committers = queues.flatMap((id) =>
        ["g", "h"].map(async (name) => {
          const committer = client();
          const key = `${name} ${id}`;
          for (let step = 0; !over.signal.aborted; step++) {
            // Mostly forward, now and then back.
            const offset = (step * 7) % 200;
            const known = told.get(key) ?? { acknowledged: 0, asked: 0 };
            told.set(key, { ...known, asked: offset });
            const wish = { group: { name }, messageQueue: { topic, id }, offset };
            const answer = await committer.call(methods.UpdateOffset, wish).catch(() => undefined);
            if (answer === undefined) return;
            assert.equal(answer.status?.code, Code.OK, answer.status?.message);
            told.set(key, { acknowledged: offset, asked: offset });
            acknowledgedCount += 1;
          }
        }),
      );
      await until("commits", () => acknowledgedCount > 60);
      await broker.stop("SIGKILL");
      over.abort();
      await Promise.all(committers);
      await start(address.slice(address.lastIndexOf(":") + 1));
      for (const [key, { acknowledged, asked }] of told) {
        const [name = "", id = ""] = key.split(" ");
        const messageQueue = { topic, id: Number(id) };
        const { status, offset } = await client().call(methods.GetOffset, {
          group: { name },
          messageQueue,
        });
        assert.equal(status?.code, Code.OK, status?.message);
        const isKept = offset === acknowledged || offset === asked;
        assert.ok(isKept, `${key} is at ${offset}, was acknowledged at ${acknowledged}`);
      }
    }
  });

  it("of a reset stay where it has put them, with nothing pending", async () => {
    await send(1, 50);
    const consumer = client();
    const received = await consumer.receive({
      group: { name: "g" },
      messageQueue: { topic },
      batchSize: 32,
      invisibleDuration: { seconds: 300 },
    }).done;
    assert.equal(received.messages.length, 32);
    const { ResetGroupOffset, GetConsumerProgress } = brokerAdminService.methods;
    const wish = { group: "g", topic: "t", queueId: 1, offset: 10 };
    const reset = await client().call(ResetGroupOffset, wish);
    assert.equal(reset.status?.code, Code.OK, reset.status?.message);
    await killAndStart();
    const progress = await client().call(GetConsumerProgress, { group: "g" });
    const queue = progress.queues.find(({ queueId }) => queueId === 1);
    assert.deepEqual([queue?.cursor, queue?.pending], [10, 0]);
    const again = await client().receive({
      group: { name: "g" },
      messageQueue: { topic },
      batchSize: 32,
      invisibleDuration: { seconds: 300 },
    }).done;
    assert.equal(again.messages[0]?.systemProperties?.queueOffset, 10);
    // Out before the reset and before the kill: it ends nothing.
    const [old] = received.messages;
    const entries = [
      {
        messageId: "",
        receiptHandle: received.messages[15]?.systemProperties?.receiptHandle ?? "",
      },
    ];
    const ack = await client().call(methods.AckMessage, { group: { name: "g" }, topic, entries });
    assert.equal(ack.status?.code, Code.INVALID_RECEIPT_HANDLE, old?.systemProperties?.messageId);
  });

  it("let a PullConsumer go on after the broker is back: no message missed, none committed twice back", async () => {
    const total = 600;
    for (const queueId of [1, 2, 3]) await send(queueId, 200);
    const seen = new Map<string, number>();
    await using consumer = new PullConsumer({
      endpoints: address,
      consumerGroup: "g",
      autoCommitInterval: 100,
    });
    await consumer.startup();
    await consumer.assign(await consumer.queues("t"));
    let isKilled = false;
    while (seen.size < total) {
      const messages = await consumer.poll({ maxMessageNum: 20, timeout: 1_000 });
      for (const { messageId } of messages) seen.set(messageId, (seen.get(messageId) ?? 0) + 1);
      if (isKilled || seen.size < total / 2) continue;
      isKilled = true;
      await killAndStart();
    }
    assert.ok(isKilled);
    // It knows itself where it is: the kill makes it read nothing again.
    assert.ok([...seen.values()].every((count) => count === 1));
    await consumer.commit();
    await killAndStart();
    for (const queueId of [1, 2, 3]) {
      assert.equal(await consumer.committed({ topic: "t", brokerName: "broker-a", queueId }), 200);
    }
  });
});
