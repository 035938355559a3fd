// kill -9 of a real broker with messages of many priorities: what waits comes by priority after that as well, and one of a
// high priority passes a long backlog at once.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brokerAdminService, Code, messagingService, type rocketmq } from "@cometmq/proto";
import { BrokerProcess } from "./broker-process.ts";

const { methods } = messagingService;
const topic = { name: "urgent" };
const backlogCount = 20_000;

async function send({ client }: BrokerProcess, priority: number, count: number): Promise<void> {
  const messages = Array.from({ length: count }, (_unused, index) => ({
    topic,
    systemProperties: {
      messageId: `${priority}-${index}`,
      messageType: 6,
      bodyEncoding: 1,
      priority,
    },
    body: Buffer.from("x"),
  }));
  const { status } = await client.call(methods.SendMessage, { messages });
  assert.equal(status?.code, Code.OK, status?.message);
}

async function receive(
  { client }: BrokerProcess,
  batchSize: number,
): Promise<readonly rocketmq.v2.IMessage[]> {
  const { messages } = await client.receive({
    group: { name: "readers" },
    messageQueue: { topic, id: 0 },
    filterExpression: { type: 1, expression: "*" },
    batchSize,
    invisibleDuration: { seconds: 300 },
    longPollingTimeout: { seconds: 5 },
  }).done;
  return messages;
}

function prioritiesOf(messages: readonly rocketmq.v2.IMessage[]): (number | null | undefined)[] {
  return messages.map(({ systemProperties }) => systemProperties?.priority);
}

async function ack(
  { client }: BrokerProcess,
  messages: readonly rocketmq.v2.IMessage[],
): Promise<void> {
  const entries = messages.map(({ systemProperties }) => ({
    messageId: systemProperties?.messageId ?? "",
    receiptHandle: systemProperties?.receiptHandle ?? "",
  }));
  const request = { group: { name: "readers" }, topic, entries };
  const { status } = await client.call(methods.AckMessage, request);
  assert.equal(status?.code, Code.OK, status?.message);
}

describe("kill -9 with messages of many priorities", function () {
  this.timeout(90_000);
  let folder = "";

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-priority-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("keeps the order of priorities, and lets a high one pass a backlog", async () => {
    const flags = ["--mappedFileSizeCommitLog", "1048576", "--maxMessageSize", "8192"];
    let broker = await BrokerProcess.start(folder, ...flags);
    const { UpdateTopic } = brokerAdminService.methods;
    const wish = { name: topic.name, messageType: "PRIORITY", writeQueues: 1, readQueues: 1 };
    await broker.client.call(UpdateTopic, wish);
    for (let left = backlogCount; left > 0; left -= 1_000) await send(broker, 1, 1_000);
    await send(broker, 100, 3);
    await ack(broker, await receive(broker, 1));
    assert.deepEqual(prioritiesOf(await receive(broker, 1)), [100]);
    // The state of what was acknowledged is written within 50 ms, in the same log as this.
    const { UpdateGroup } = brokerAdminService.methods;
    await broker.client.call(UpdateGroup, { name: "other" });
    await broker.stop("SIGKILL");

    broker = await BrokerProcess.start(folder, ...flags);
    // The rest of the backlog is in files only by now.
    const messages = await receive(broker, 4);
    const [first, ...rest] = prioritiesOf(messages);
    assert.equal(first, 100);
    assert.deepEqual(
      rest.filter((priority) => priority !== 100 && priority !== 1),
      [],
    );
    assert.deepEqual(
      rest,
      rest.toSorted((one = 0, other = 0) => Number(other) - Number(one)),
    );
    await send(broker, 255, 1);
    await send(broker, 7, 1);
    assert.deepEqual(prioritiesOf(await receive(broker, 32)).slice(0, 2), [255, 7]);
    await broker.stop("SIGTERM");
  });
});
