// The bound of unacknowledged messages of all groups together, as an operator sets it: in the configuration file of a real
// broker. What a group at it gets, what makes room, and what /metrics says of it.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Producer } from "@cometmq/client";
import { limits } from "../../base/index.ts";
import { run, stopAll } from "./program-process.ts";
import { brokerAdminService, messagingService, RawClient, type Received } from "./raw-client.ts";

const ok = 20_000;
const tooManyRequests = 42_900;
const topic = "t";
const totalMax = 1_000;
const few = limits.pendingPerGroupMin;

type Message = Received["messages"][number];

describe("a broker with a bound of what all groups hold", function () {
  this.timeout(60_000);
  let folder = "";
  let client: RawClient;
  let metricsAddress = "";

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-pending-"));
    const file = join(folder, "broker.conf");
    const lines = ["brokerName = broker-a", `popInflightTotalThreshold = ${totalMax}`];
    await writeFile(file, `${lines.join("\n")}\n`);
    const ports = ["--grpc-port", "0", "--haListenPort", "0", "--metrics-port", "0"];
    const broker = run("mqbroker", "-c", file, "--data", join(folder, "data"), ...ports);
    const { grpc = "", metrics = "" } = await broker.ready();
    metricsAddress = metrics;
    client = new RawClient(grpc);
    const wish = { name: topic, readQueues: 4, writeQueues: 4 };
    const { status } = await client.call(brokerAdminService.methods.UpdateTopic, wish);
    assert.equal(status?.code, ok);
    await using producer = new Producer({ endpoints: grpc, topics: [topic] });
    await producer.startup();
    const bodies = Array.from({ length: totalMax + 200 }, () => Buffer.from("x"));
    await Promise.all(bodies.map((body) => producer.send({ topic, body })));
  });

  after(async () => {
    client?.close();
    await stopAll();
    await rm(folder, { recursive: true, force: true });
  });

  function receiveOnce(group: string): Promise<Received> {
    return client.receive(
      {
        group: { name: group },
        messageQueue: { topic: { name: topic }, id: -1 },
        filterExpression: { type: 1, expression: "*" },
        batchSize: 20,
        invisibleDuration: { seconds: 600 },
        autoRenew: false,
      },
      5_500,
    ).done;
  }

  async function take(group: string, count: number): Promise<readonly Message[]> {
    const taken: Message[] = [];
    while (taken.length < count) {
      const { code, messages } = await receiveOnce(group);
      assert.equal(code, ok);
      taken.push(...messages);
    }
    assert.equal(taken.length, count);
    return taken;
  }

  async function acknowledge(group: string, messages: readonly Message[]): Promise<void> {
    const { status } = await client.call(messagingService.methods.AckMessage, {
      topic: { name: topic },
      group: { name: group },
      entries: messages.map(({ systemProperties }) => ({
        messageId: systemProperties?.messageId ?? "",
        receiptHandle: systemProperties?.receiptHandle ?? "",
      })),
    });
    assert.equal(status?.code, ok);
  }

  async function refused(group: string): Promise<void> {
    const { code, text, messages } = await receiveOnce(group);
    assert.deepEqual([code, messages.length], [tooManyRequests, 0], text);
    assert.match(text, /popInflightTotalThreshold/);
  }

  /** The values of a metric by its label `bound`, "" without one. */
  async function metric(name: string): Promise<Readonly<Record<string, number>>> {
    const page = await (await fetch(`http://${metricsAddress}/metrics`)).text();
    const lines = page.matchAll(new RegExp(`^${name}\\{(.*)\\} (\\S+)$`, "gm"));
    return Object.fromEntries(
      Array.from(lines, ([, labels = "", value]): [string, number] => [
        /\bbound="(.*?)"/.exec(labels)?.[1] ?? "",
        Number(value),
      ]),
    );
  }

  async function pending(): Promise<number | undefined> {
    return (await metric("cometmq_pending_messages"))[""];
  }

  it("says so on /metrics before anything has come", async () => {
    assert.equal(await pending(), 0);
    assert.deepEqual(await metric("cometmq_refused_total"), {
      timerPendingMax: 0,
      transactionHalfMax: 0,
      popInflightMessageThreshold: 0,
      popInflightTotalThreshold: 0,
      appendBacklogSizeMax: 0,
    });
  });

  it("refuses a group that has its share, gives each other one a few, and goes on when some are done", async () => {
    const taken = await take("hoarders", totalMax);
    await refused("hoarders");
    assert.equal(await pending(), totalMax);
    await take("late", few);
    await refused("late");
    assert.equal(await pending(), totalMax + few);
    const counts = await metric("cometmq_refused_total");
    assert.equal(counts["popInflightTotalThreshold"], 2);
    assert.equal(counts["popInflightMessageThreshold"], 0);
    // Down to the bound is not enough.
    await acknowledge("hoarders", taken.slice(0, few));
    await refused("late");
    await acknowledge("hoarders", taken.slice(few, few + 20));
    await take("late", 20);
    await refused("late");
    await acknowledge("hoarders", taken.slice(few + 20));
    await take("hoarders", 200);
    assert.equal(await pending(), few + 220);
  });
});
