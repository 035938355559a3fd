// Each mqadmin command as an operator types it, against a standalone broker: what it answers, as JSON and as text,
// and with which exit code it refuses.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type ProgramProcess, run, stopAll } from "./program-process.ts";
import { until } from "./waiting.ts";

const program = fileURLToPath(new URL("../../bin/mqadmin", import.meta.url));

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function mqadmin(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code);
      resolve({ code, stdout, stderr });
    });
  });
}

describe("mqadmin", function () {
  this.timeout(60_000);
  let broker: ProgramProcess;
  let nameServer = "";
  let address = "";

  before(async () => {
    broker = run(
      "cometmq",
      ...["--ephemeral", "--grpc-port", "0", "--namesrv-port", "0", "--metrics-port", "0"],
    );
    const ready = await broker.ready();
    nameServer = ready["namesrv"] ?? "";
    address = ready["grpc"] ?? "";
  });
  after(stopAll);

  /** Runs a command that must succeed; gives its JSON. */
  async function json<T>(command: string, ...args: string[]): Promise<T> {
    const { code, stdout, stderr } = await mqadmin(command, "-n", nameServer, "--json", ...args);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as T;
  }

  async function refused(code: number, pattern: RegExp, ...args: string[]): Promise<void> {
    const outcome = await mqadmin(...args, "-n", nameServer);
    assert.equal(outcome.code, code, outcome.stdout);
    assert.match(outcome.stderr, pattern);
  }

  async function newTopic(name: string): Promise<void> {
    await json("updateTopic", "-c", "DefaultCluster", "-t", name, "-r", "4", "-w", "4");
    await until(
      "the answer of mqadmin",
      async () => (await mqadmin("topicRoute", "-n", nameServer, "-t", name)).code === 0,
    );
  }

  it("creates, changes, lists and deletes a topic", async () => {
    const args = ["-c", "DefaultCluster", "-t", "orders", "-r", "4", "-w", "4"];
    const [created] = await json<{ created: boolean; topic: object }[]>("updateTopic", ...args);
    assert.equal(created?.created, true);
    const [updated] = await json<
      { created: boolean; topic: { readQueues: number; perm: number } }[]
    >("updateTopic", ...["-b", address, "-t", "orders", "-p", "4", "-a", "+message.type=NORMAL"]);
    assert.equal(updated?.created, false);
    assert.equal(updated?.topic.readQueues, 4);
    assert.equal(updated?.topic.perm, 4);
    const topics = await json<{ name: string }[]>("topicList");
    assert.ok(topics.some((topic) => topic.name === "orders"));
    await json("deleteTopic", "-c", "DefaultCluster", "-t", "orders");
    const left = await json<{ name: string }[]>("topicList");
    assert.ok(!left.some((topic) => topic.name === "orders"));
    await until(
      "the answer of mqadmin",
      async () => (await mqadmin("topicRoute", "-n", nameServer, "-t", "orders")).code === 1,
    );
  });

  it("sends a message and finds it by place, id and key", async () => {
    await newTopic("found");
    const args = ["-t", "found", "-p", "hello", "-k", "key-1 key-2", "-c", "tag"];
    const sent = await json<{ messageId: string; broker: string }>("sendMessage", ...args);
    const [shown] = await json<
      { body: string; queueId: number; queueOffset: number; tag: string }[]
    >("consumeMessage", ...["-t", "found"]);
    assert.equal(shown?.body, "hello");
    assert.equal(shown?.tag, "tag");
    const place = [
      "-b",
      sent.broker,
      "-i",
      String(shown?.queueId),
      "-o",
      String(shown?.queueOffset),
    ];
    const [byOffset] = await json<{ messageId: string }[]>(
      "queryMsgByOffset",
      "-t",
      "found",
      ...place,
    );
    assert.equal(byOffset?.messageId, sent.messageId);
    // The index may lag behind the log.
    await until(
      "the answer of mqadmin",
      async () =>
        (await mqadmin("queryMsgByKey", "-n", nameServer, "-t", "found", "-k", "key-2")).code === 0,
    );
    const [byKey] = await json<{ messageId: string }[]>(
      "queryMsgByKey",
      "-t",
      "found",
      "-k",
      "key-2",
    );
    assert.equal(byKey?.messageId, sent.messageId);
    for (const command of ["queryMsgById", "queryMsgByUniqueKey"]) {
      const [byId] = await json<{ body: string }[]>(command, "-t", "found", "-i", sent.messageId);
      assert.equal(byId?.body, "hello");
    }
    await refused(1, /no message with key absent/, "queryMsgByKey", "-t", "found", "-k", "absent");
  });

  it("shows the offsets of each queue", async () => {
    await newTopic("status");
    await json("sendMessage", "-t", "status", "-p", "x");
    const queues = await json<{ maxOffset: number }[]>("topicStatus", "-t", "status");
    assert.equal(queues.length, 4);
    assert.equal(
      queues.reduce((sum, queue) => sum + queue.maxOffset, 0),
      1,
    );
  });

  it("creates, changes and deletes a group, and shows its progress", async () => {
    const from = ["-c", "DefaultCluster", "-g", "payments", "-r", "3", "-a", "+consume.from=first"];
    const [created] = await json<{ created: boolean; group: { consumeFrom: string } }[]>(
      "updateSubGroup",
      ...from,
    );
    assert.equal(created?.created, true);
    assert.equal(created?.group.consumeFrom, "first");
    assert.deepEqual(await json("consumerProgress", "-g", "payments"), []);
    assert.deepEqual(await json("consumerConnection", "-g", "payments"), {
      group: "payments",
      subscriptionsDiffer: false,
      clients: [],
    });
    await json("deleteSubGroup", "-c", "DefaultCluster", "-g", "payments", "-r", "true");
    await refused(1, /payments/, "deleteSubGroup", "-c", "DefaultCluster", "-g", "payments");
  });

  it("lists the cluster, the state of the broker and its producers", async () => {
    const [listed] = await json<{ cluster: string; name: string; address: string }[]>(
      "clusterList",
      "-m",
    );
    assert.deepEqual(
      [listed?.cluster, listed?.name, listed?.address],
      ["DefaultCluster", "broker-a", address],
    );
    const [status] =
      await json<{ broker: string; figures: Record<string, string> }[]>("brokerStatus");
    assert.equal(status?.figures["role"], "master");
    assert.deepEqual(await json("producerConnection"), []);
  });

  it("shows the configuration and changes live keys only", async () => {
    await json(
      "updateBrokerConfig",
      "-c",
      "DefaultCluster",
      "-k",
      "maxMessageSize",
      "-v",
      "1048576",
    );
    const [row] = await json<{ value: string; source: string }[]>(
      "getBrokerConfig",
      "-k",
      "maxMessageSize",
    );
    assert.equal(row?.value, "1048576");
    assert.equal(row?.source, "live");
    const change = ["updateBrokerConfig", "-b", address];
    await refused(1, /restart/, ...change, "-k", "flushDiskType", "-v", "ASYNC_FLUSH");
    await refused(1, /noSuchKey/, ...change, "-k", "noSuchKey", "-v", "1");
    await refused(1, /maxMessageSize/, ...change, "-k", "maxMessageSize", "-v", "lots");
  });

  it("explains what is wrong with a command line, with exit code 2", async () => {
    await refused(2, /there is no command nope/, "nope", "-t", "orders");
    await refused(2, /Did you mean topicList/, "topicLst");
    await refused(2, /Unknown argument: frob/, "topicList", "--frob");
    await refused(2, /-b HOST:PORT for one broker, or -c CLUSTER/, "updateTopic", "-t", "x");
    await refused(2, /whole number from 1/, "updateTopic", "-b", address, "-t", "x", "-r", "0");
    await refused(
      2,
      /is no attribute/,
      "updateTopic",
      "-b",
      address,
      "-t",
      "x",
      "-a",
      "message.type=FIFO",
    );
    await refused(2, /required argument: topic/, "topicRoute");
  });

  it("says which value the broker refuses and why, with exit code 1", async () => {
    await refused(
      1,
      /ORDERED/,
      "updateTopic",
      "-b",
      address,
      "-t",
      "x",
      "-a",
      "+message.type=ORDERED",
    );
    await refused(1, /bad name/, "updateTopic", "-b", address, "-t", "bad name");
    await refused(1, /nobody answers at 127.0.0.1:1:/, "topicList", "-b", "127.0.0.1:1");
    await refused(
      1,
      /no master in cluster Elsewhere.*DefaultCluster/,
      "topicList",
      "-c",
      "Elsewhere",
    );
  });

  it("prints help, version and a completion script", async () => {
    const help = await mqadmin("help", "updateTopic");
    assert.equal(help.code, 0);
    assert.match(help.stdout, /--readQueueNums/);
    assert.match((await mqadmin("--version")).stdout, /^\d+\.\d+\.\d+\n$/);
    assert.match((await mqadmin("completion")).stdout, /mqadmin/);
  });
});
