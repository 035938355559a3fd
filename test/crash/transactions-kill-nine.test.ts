// kill -9 of a real broker between half messages and their ends, and while these are written: what was committed is there
// once, what was rolled back never, and what was left open can still be ended.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brokerAdminService, Code, messagingService } from "@cometmq/proto";
import { BrokerProcess } from "./broker-process.ts";

const { methods } = messagingService;
const topic = "transactions";
const [commit, rollback] = [1, 2] as const;
const writersCount = 16;

interface Half {
  readonly messageId: string;
  readonly transactionId: string;
}

async function makeTopic({ client }: BrokerProcess): Promise<void> {
  const wish = { name: topic, messageType: "TRANSACTION", writeQueues: 2, readQueues: 2 };
  const { status } = await client.call(brokerAdminService.methods.UpdateTopic, wish);
  assert.equal(status?.code, Code.OK, status?.message);
}

async function sendHalf({ client }: BrokerProcess, messageId: string): Promise<Half> {
  const message = {
    topic: { name: topic },
    systemProperties: { messageId, messageType: 4, bodyEncoding: 1 },
    body: Buffer.from("x"),
  };
  const { status, entries } = await client.call(methods.SendMessage, { messages: [message] });
  assert.equal(status?.code, Code.OK, status?.message);
  return { messageId, transactionId: entries[0]?.transactionId ?? "" };
}

async function end({ client }: BrokerProcess, half: Half, resolution: number): Promise<number> {
  const request = { ...half, topic: { name: topic }, resolution };
  const { status } = await client.call(methods.EndTransaction, request);
  return status?.code ?? 0;
}

async function storedCount({ client }: BrokerProcess): Promise<number> {
  const { queues } = await client.call(brokerAdminService.methods.GetTopicStatus, { name: topic });
  return queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0);
}

async function receiveAll(broker: BrokerProcess): Promise<string[]> {
  const found: string[] = [];
  const count = await storedCount(broker);
  while (found.length < count) {
    const { messages } = await broker.client.receive({
      group: { name: "readers" },
      messageQueue: { topic: { name: topic }, id: -1 },
      filterExpression: { type: 1, expression: "*" },
      batchSize: 32,
      invisibleDuration: { seconds: 300 },
      longPollingTimeout: { seconds: 1 },
    }).done;
    assert.ok(messages.length > 0, `only ${found.length} of ${count} messages came`);
    found.push(...messages.map(({ systemProperties }) => systemProperties?.messageId ?? ""));
  }
  return found.toSorted();
}

describe("kill -9 around transactions", function () {
  this.timeout(90_000);
  let folder = "";

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-transactions-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  for (const flushDiskType of ["SYNC_FLUSH", "ASYNC_FLUSH"]) {
    it(`between half and end loses and doubles nothing with ${flushDiskType}`, async () => {
      const flags = ["--flushDiskType", flushDiskType, "--mappedFileSizeCommitLog", "262144"];
      flags.push("--maxMessageSize", "8192");
      let broker = await BrokerProcess.start(folder, ...flags);
      const again = async (): Promise<void> => {
        await broker.stop("SIGKILL");
        broker = await BrokerProcess.start(folder, ...flags);
      };
      await makeTopic(broker);
      const halves: Half[] = [];
      for (let index = 0; index < 200; index++) halves.push(await sendHalf(broker, `m${index}`));
      await again();
      assert.equal(await storedCount(broker), 0);
      const wanted = (index: number): number => (index % 3 === 0 ? rollback : commit);
      for (const [index, half] of halves.slice(0, 100).entries()) {
        assert.equal(await end(broker, half, wanted(index)), Code.OK);
      }
      await again();
      for (const half of halves.slice(0, 100)) {
        assert.equal(await end(broker, half, commit), Code.INVALID_TRANSACTION_ID);
      }
      for (const [index, half] of halves.slice(100).entries()) {
        assert.equal(await end(broker, half, wanted(index + 100)), Code.OK);
      }
      await again();
      const expected = halves.filter((_, index) => wanted(index) === commit);
      assert.deepEqual(
        await receiveAll(broker),
        expected.map(({ messageId }) => messageId).toSorted(),
      );
      await broker.stop();
    });
  }

  it("while ends are written leaves each transaction ended or open, never half", async () => {
    let broker = await BrokerProcess.start(folder, "--flushDiskType", "ASYNC_FLUSH");
    await makeTopic(broker);
    const halves: Half[] = [];
    for (let index = 0; index < 600; index++) halves.push(await sendHalf(broker, `m${index}`));
    const answered = new Set<string>();
    const left = halves.values();
    const victim = broker;
    const writers = Array.from({ length: writersCount }, async () => {
      for (const half of left) {
        if ((await end(victim, half, commit)) === Code.OK) answered.add(half.messageId);
        if (answered.size === 250) await victim.stop("SIGKILL");
      }
    });
    await Promise.allSettled(writers);
    assert.ok(answered.size >= 250 && answered.size < halves.length, `${answered.size} answered`);
    broker = await BrokerProcess.start(folder, "--flushDiskType", "ASYNC_FLUSH");
    for (const half of halves) {
      const code = await end(broker, half, commit);
      const isEnded = code === Code.INVALID_TRANSACTION_ID;
      assert.ok(isEnded || (code === Code.OK && !answered.has(half.messageId)), `${code}`);
    }
    assert.deepEqual(await receiveAll(broker), halves.map(({ messageId }) => messageId).toSorted());
    await broker.stop();
  });
});
