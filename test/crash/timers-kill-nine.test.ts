// kill -9 of a real broker before, while and after delayed messages are due: each one that was acknowledged is
// delivered once, none before its time, and none that was recalled.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brokerAdminService, Code, messagingService, type rocketmq } from "@cometmq/proto";
import { BrokerProcess } from "./broker-process.ts";

const { methods } = messagingService;
const batchCount = 100;
const recalledCount = 50;

interface Sent {
  readonly id: string;
  readonly dueMs: number;
  readonly recallHandle: string;
}

interface Found {
  readonly id: string;
  readonly place: string;
  readonly dueMs: number;
  readonly storedMs: number;
}

function timestampOf(ms: number): { readonly seconds: number; readonly nanos: number } {
  return { seconds: Math.floor(ms / 1000), nanos: (ms % 1000) * 1e6 };
}

function msOf(time: { seconds?: number | null; nanos?: number | null } | null | undefined): number {
  return (time?.seconds ?? 0) * 1000 + (time?.nanos ?? 0) / 1e6;
}

async function makeTopic({ client }: BrokerProcess, name: string): Promise<void> {
  const wish = { name, messageType: "DELAY", writeQueues: 4, readQueues: 4 };
  const { status } = await client.call(brokerAdminService.methods.UpdateTopic, wish);
  assert.equal(status?.code, Code.OK, status?.message);
}

/** Sends messages that are due at the given times, a hundred in a request. */
async function send(
  { client }: BrokerProcess,
  topic: string,
  dues: readonly number[],
): Promise<Sent[]> {
  const sent: Sent[] = [];
  for (let from = 0; from < dues.length; from += batchCount) {
    const messages = dues.slice(from, from + batchCount).map((dueMs, index) => ({
      topic: { name: topic },
      systemProperties: {
        messageId: `${topic}-${from + index}`,
        bodyEncoding: 1,
        deliveryTimestamp: timestampOf(dueMs),
      },
      body: Buffer.from("x"),
    }));
    const { status, entries } = await client.call(methods.SendMessage, { messages });
    assert.equal(status?.code, Code.OK, status?.message);
    for (const [index, entry] of entries.entries()) {
      const dueMs = dues[from + index] ?? 0;
      sent.push({ id: entry.messageId, dueMs, recallHandle: entry.recallHandle });
    }
  }
  return sent;
}

async function recall(
  { client }: BrokerProcess,
  topic: string,
  { recallHandle }: Sent,
): Promise<rocketmq.v2.RecallMessageResponse> {
  return await client.call(methods.RecallMessage, { topic: { name: topic }, recallHandle });
}

/** Messages in the queues of the topic. */
async function storedCount({ client }: BrokerProcess, name: string): Promise<number> {
  const { queues } = await client.call(brokerAdminService.methods.GetTopicStatus, { name });
  return queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0);
}

/** Everything that a new group gets of what is there. */
async function receiveAll(broker: BrokerProcess, topic: string): Promise<Found[]> {
  const found: Found[] = [];
  const count = await storedCount(broker, topic);
  while (found.length < count) {
    const { messages } = await broker.client.receive({
      group: { name: `readers-of-${topic}` },
      messageQueue: { topic: { name: topic }, id: -1 },
      filterExpression: { type: 1, expression: "*" },
      batchSize: 32,
      invisibleDuration: { seconds: 300 },
      longPollingTimeout: { seconds: 1 },
    }).done;
    assert.ok(messages.length > 0, `only ${found.length} of ${count} messages came`);
    for (const { systemProperties: system } of messages) {
      found.push({
        id: system?.messageId ?? "",
        place: `${system?.queueId}/${system?.queueOffset}`,
        dueMs: msOf(system?.deliveryTimestamp),
        storedMs: msOf(system?.storeTimestamp),
      });
    }
  }
  return found;
}

async function untilMs(ms: number): Promise<void> {
  while (Date.now() < ms) await new Promise((resolve) => setTimeout(resolve, 5));
}

function check(found: readonly Found[], sent: readonly Sent[], recalled: readonly Sent[]): void {
  const ids = found.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length, "some are delivered twice");
  assert.equal(new Set(found.map(({ place }) => place)).size, found.length);
  const gone = new Set(recalled.map(({ id }) => id));
  const expected = sent.filter(({ id }) => !gone.has(id));
  assert.deepEqual(ids.toSorted(), expected.map(({ id }) => id).toSorted());
  const early = found.filter(({ dueMs, storedMs }) => storedMs < dueMs);
  assert.deepEqual(early, [], "some are delivered before their time");
}

describe("kill -9 around the time of delayed messages", function () {
  this.timeout(120_000);
  let folder = "";

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-timers-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  for (const flushDiskType of ["SYNC_FLUSH", "ASYNC_FLUSH"]) {
    it(`loses none and delivers none twice with ${flushDiskType}`, async () => {
      // Small files, so that a kill may come while a new one is begun.
      const flags = [
        ...["--flushDiskType", flushDiskType, "--maxMessageSize", "8192"],
        ...["--mappedFileSizeCommitLog", "262144"],
      ];
      const topic = `timers-${flushDiskType}`;
      let broker = await BrokerProcess.start(folder, ...flags);
      const again = async (): Promise<void> => {
        await broker.stop("SIGKILL");
        broker = await BrokerProcess.start(folder, ...flags);
      };
      await makeTopic(broker, topic);
      const startMs = Date.now() + 6_000;
      const spanMs = 4_000;
      const dues = Array.from({ length: 8_000 }, (_, index) => startMs + ((index * 613) % spanMs));
      const sent = await send(broker, topic, dues);
      const recalled = sent.filter((_, index) => index % 7 === 0).slice(-2 * recalledCount);
      for (const one of recalled.slice(0, recalledCount)) {
        assert.equal((await recall(broker, topic, one)).status?.code, Code.OK);
      }
      await again();
      for (const one of recalled.slice(recalledCount)) {
        const { status } = await recall(broker, topic, one);
        assert.equal(status?.code, Code.OK, status?.message);
      }
      const first = recalled[0];
      assert.ok(first !== undefined && Date.now() < startMs, "the machine is too slow");
      const { status } = await recall(broker, topic, first);
      assert.equal(status?.code, Code.MESSAGE_NOT_FOUND);
      for (let kill = 1; kill <= 4; kill++) {
        await untilMs(startMs + (kill * spanMs) / 5);
        await again();
      }
      await untilMs(startMs + spanMs);
      const wantedCount = sent.length - recalled.length;
      for (let turn = 0; (await storedCount(broker, topic)) < wantedCount; turn++) {
        assert.ok(turn < 200, "some never come");
        await untilMs(Date.now() + 50);
      }
      await again();
      check(await receiveAll(broker, topic), sent, recalled);
      await broker.stop();
    });
  }

  it("has those that came due while it was down as soon as it is up", async () => {
    let broker = await BrokerProcess.start(folder);
    await makeTopic(broker, "overdue");
    const dueMs = Date.now() + 700;
    const sent = await send(
      broker,
      "overdue",
      Array.from({ length: 500 }, () => dueMs),
    );
    await broker.stop("SIGKILL");
    await untilMs(dueMs + 300);
    broker = await BrokerProcess.start(folder);
    const upMs = Date.now();
    while ((await storedCount(broker, "overdue")) < sent.length) {
      assert.ok(Date.now() - upMs < 1_000, "they come late");
    }
    check(await receiveAll(broker, "overdue"), sent, []);
    await broker.stop();
  });
});
