// The commands for offsets as an operator types them: against two masters, with consumers of the SDK.
import assert from "node:assert/strict";
import { Producer, PullConsumer, SimpleConsumer } from "@cometmq/client";
import { ClusterProcesses } from "./cluster-processes.ts";
import { mqadmin, mqadminJson } from "./mqadmin-run.ts";
import { until } from "./waiting.ts";

interface Change {
  readonly broker: string;
  readonly queueId: number;
  readonly before: number | null;
  readonly after: number;
  readonly dropped: number;
  readonly changed: boolean;
}

interface Progress {
  readonly broker: string;
  readonly queueId: number;
  readonly cursor: number;
  readonly pending: number;
  readonly lag: number;
}

interface Status {
  readonly subscriptionsAgree: boolean;
  readonly consumers: readonly {
    readonly clientId: string;
    readonly type: string;
    readonly brokers: readonly string[];
    readonly reads: readonly string[];
    readonly lag: number;
    readonly pending: number;
  }[];
}

describe("mqadmin for offsets", function () {
  this.timeout(90_000);
  let cluster: ClusterProcesses;
  let nameServer = "";

  before(async () => {
    cluster = await ClusterProcesses.start({ nameServers: 1, masters: 2 });
    nameServer = cluster.nameServers[0]?.address ?? "";
  });
  after(() => cluster.close());

  const json = <T>(...args: string[]): Promise<T> => mqadminJson<T>(nameServer, ...args);

  async function refused(code: number, pattern: RegExp, ...args: string[]): Promise<string> {
    const outcome = await mqadmin(...args, "-n", nameServer);
    assert.equal(outcome.code, code, outcome.stdout + outcome.stderr);
    assert.match(outcome.stderr, pattern);
    return outcome.stdout;
  }

  async function newTopic(topic: string, count: number): Promise<Producer> {
    await cluster.createTopic(topic, "-r", "2", "-w", "2");
    const producer = new Producer({ endpoints: nameServer, topics: [topic] });
    await producer.startup();
    await send(producer, topic, count);
    return producer;
  }

  async function send(producer: Producer, topic: string, count: number): Promise<void> {
    // One after another, so that all queues get some.
    for (let sent = 0; sent < count; sent++) await producer.send({ topic, body: Buffer.from("x") });
  }

  async function simple(consumerGroup: string, topic: string): Promise<SimpleConsumer> {
    const consumer = new SimpleConsumer({
      endpoints: nameServer,
      consumerGroup,
      subscriptions: new Map([[topic, "*"]]),
      awaitDuration: 500,
    });
    await consumer.startup();
    return consumer;
  }

  /** Receives so many messages and leaves them unacknowledged, or acknowledges them. */
  async function receive(
    consumer: SimpleConsumer,
    count: number,
    { ack }: { readonly ack: boolean },
  ): Promise<void> {
    for (let got = 0; got < count; ) {
      const messages = await consumer.receive(count - got, 300_000);
      got += messages.length;
      if (ack) await Promise.all(messages.map((message) => consumer.ack(message)));
    }
  }

  const total = (rows: readonly Progress[], key: "cursor" | "pending" | "lag"): number =>
    rows.reduce((sum, row) => sum + row[key], 0);

  it("resets to a moment on all masters: what comes again, and what is dropped", async () => {
    const topic = "by-time";
    await using producer = await newTopic(topic, 40);
    await using consumer = await simple("time", topic);
    await receive(consumer, 30, { ack: true });
    await receive(consumer, 10, { ack: false });
    const between = new Date();
    await send(producer, topic, 20);
    const changes = await json<Change[]>(
      "resetOffsetByTime",
      ...["-g", "time", "-t", topic, "-s", between.toISOString()],
    );
    assert.equal(changes.length, 4);
    assert.deepEqual([...new Set(changes.map(({ broker }) => broker))], ["m1", "m2"]);
    assert.equal(
      changes.reduce((sum, { dropped }) => sum + dropped, 0),
      10,
    );
    const after = await json<Progress[]>("consumerProgress", "-g", "time", "-t", topic);
    assert.deepEqual([total(after, "pending"), total(after, "lag")], [0, 20]);
    await json("resetOffsetByTime", "-g", "time", "-t", topic, "-s", "0");
    const all = await json<Progress[]>("consumerProgress", "-g", "time", "-t", topic);
    assert.equal(total(all, "lag"), 60);
    // Only back: nothing is before the beginning.
    const kept = await json<Change[]>(
      "resetOffsetByTime",
      ...["-g", "time", "-t", topic, "-s", "now", "-f", "false"],
    );
    assert.ok(kept.every(({ changed, before, after: to }) => !changed && before === to));
    await receive(consumer, 60, { ack: true });
  });

  it("resets one queue of one broker to an offset", async () => {
    const topic = "by-offset";
    await (await newTopic(topic, 40)).shutdown();
    await using consumer = await simple("offset", topic);
    await receive(consumer, 40, { ack: true });
    const master = cluster.masters.find(({ name }) => name === "m2");
    const one = ["-g", "offset", "-t", topic, "-b", master?.address ?? "", "-q", "1"];
    const [change, ...others] = await json<Change[]>("resetOffsetByOffset", ...one, "-o", "3");
    assert.equal(others.length, 0);
    assert.deepEqual([change?.queueId, change?.after, change?.changed], [1, 3, true]);
    const [again] = await json<Change[]>("resetOffsetByTime", ...[...one, "-s", "now", "-o", "2"]);
    assert.deepEqual([again?.before, again?.after], [3, 2]);
    await refused(1, /offset 999 is not allowed/, "resetOffsetByOffset", ...one, "-o", "999");
    await refused(
      2,
      /name it with -q/,
      "resetOffsetByTime",
      ...one.slice(0, 4),
      "-s",
      "now",
      "-o",
      "2",
    );
    await refused(2, /--offset must be a whole number/, "resetOffsetByOffset", ...one, "-o", "-1");
    await refused(2, /--timestamp must be now/, "resetOffsetByTime", ...one, "-s", "noon");
  });

  it("skips what has accumulated, and wakes who waits for what comes then", async () => {
    const topic = "skipped";
    await using producer = await newTopic(topic, 40);
    await using consumer = await simple("skipper", topic);
    await receive(consumer, 4, { ack: false });
    await json("skipAccumulatedMessage", "-g", "skipper", "-t", topic, "-c", "DefaultCluster");
    assert.deepEqual(await consumer.receive(32, 60_000), []);
    const after = await json<Progress[]>("consumerProgress", "-g", "skipper", "-t", topic);
    assert.deepEqual([total(after, "pending"), total(after, "lag")], [0, 0]);
    await send(producer, topic, 4);
    await receive(consumer, 4, { ack: true });
  });

  it("lets a group go on where another is, with what that has not acknowledged", async () => {
    const topic = "cloned";
    await (await newTopic(topic, 40)).shutdown();
    await using consumer = await simple("source", topic);
    await receive(consumer, 20, { ack: true });
    await receive(consumer, 4, { ack: false });
    const before = await json<Progress[]>("consumerProgress", "-g", "source");
    const clone = ["cloneGroupOffset", "-s", "source", "-d", "target", "-t", topic, "-o", "false"];
    assert.equal((await json<Change[]>(...clone)).length, before.length);
    const after = await json<Progress[]>("consumerProgress", "-g", "target");
    assert.equal(total(after, "pending"), 0);
    assert.ok(total(after, "lag") >= total(before, "lag"), "what the source holds comes too");
    assert.deepEqual(await json("consumerProgress", "-g", "source"), before);
    await refused(
      1,
      /has never consumed/,
      ...["cloneGroupOffset", "-s", "stranger", "-d", "target", "-t", topic],
    );
  });

  it("says who reads what, and whether they agree", async () => {
    const topic = "status";
    await using producer = await newTopic(topic, 8);
    const open = async (): Promise<PullConsumer> => {
      const consumer = new PullConsumer({
        endpoints: nameServer,
        consumerGroup: "pullers",
        subscriptions: new Map([[topic, "*"]]),
        autoCommit: false,
      });
      await consumer.startup();
      return consumer;
    };
    const members = await Promise.all([open(), open()]);
    await until("the shares", () => members.every((one) => one.assignment().length === 2));
    for (let count = 0; count < 8; ) {
      const polled = await Promise.all(members.map((member) => member.poll({ timeout: 200 })));
      for (const messages of polled) count += messages.length;
    }
    await Promise.all(members.map((member) => member.commit()));
    await send(producer, topic, 12);
    const status = await json<Status>("consumerStatus", "-g", "pullers");
    assert.equal(status.subscriptionsAgree, true);
    assert.deepEqual(
      status.consumers.map(({ type, brokers }) => [type, brokers]),
      [
        ["PULL_CONSUMER", ["m1", "m2"]],
        ["PULL_CONSUMER", ["m1", "m2"]],
      ],
    );
    assert.deepEqual(status.consumers.flatMap(({ reads }) => reads).sort(), [
      `${topic} m1/0`,
      `${topic} m1/1`,
      `${topic} m2/0`,
      `${topic} m2/1`,
    ]);
    assert.equal(
      status.consumers.reduce((sum, { lag }) => sum + lag, 0),
      12,
    );
    const [first] = members;
    const only = await json<Status>("consumerStatus", "-g", "pullers", "-i", first?.clientId ?? "");
    assert.equal(only.consumers.length, 1);
    const address = cluster.masters[0]?.address ?? "";
    const there = await json<Status>("consumerStatus", "-g", "pullers", "-b", address, "-s");
    assert.deepEqual(there.consumers[0]?.brokers, [cluster.masters[0]?.name]);
    await Promise.all(members.map((member) => member.shutdown()));
    await refused(
      1,
      /no consumer of group pullers is connected/,
      "consumerStatus",
      "-g",
      "pullers",
    );
  });

  it("says what is wrong, and what was not done where", async () => {
    const topic = "partial";
    await (await newTopic(topic, 8)).shutdown();
    await using consumer = await simple("partial", topic);
    await receive(consumer, 8, { ack: true });
    await refused(1, /has never consumed/, "skipAccumulatedMessage", "-g", "nobody", "-t", topic);
    await refused(
      1,
      /no route for topic nowhere/,
      "skipAccumulatedMessage",
      "-g",
      "partial",
      "-t",
      "nowhere",
    );
    await refused(
      1,
      /is on no broker of cluster X/,
      "skipAccumulatedMessage",
      "-g",
      "partial",
      "-t",
      topic,
      "-c",
      "X",
    );
    await refused(
      2,
      /required argument: timestamp/,
      "resetOffsetByTime",
      "-g",
      "partial",
      "-t",
      topic,
    );
    const second = cluster.masters.find(({ name }) => name === "m2");
    second?.program.child.kill("SIGSTOP");
    const stdout = await refused(
      1,
      /not done on 1 of 2 masters:\n {2}m2: .*\nDone on: m1\. Repeat it for those alone, with -b/,
      ...["resetOffsetByTime", "-g", "partial", "-t", topic, "-s", "0", "--timeout", "1000"],
    );
    second?.program.child.kill("SIGCONT");
    assert.match(stdout, /^m1 +0 /m);
  });
});
