// The commands for messages as an operator types them: against two masters, with consumers of the SDK.
import assert from "node:assert/strict";
import { type MessageView, SimpleConsumer } from "@cometmq/client";
import { ClusterProcesses } from "./cluster-processes.ts";
import { mqadmin, mqadminJson } from "./mqadmin-run.ts";

interface Found {
  readonly messageId: string;
  readonly broker: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly type: string;
  readonly tag: string;
  readonly keys: readonly string[];
  readonly system: Readonly<Record<string, string>>;
  readonly properties: Readonly<Record<string, string>>;
  readonly body: string;
  readonly hold?: { readonly state: string; readonly until?: string; readonly checks?: number };
  readonly deliveries?: readonly {
    readonly group: string;
    readonly state: string;
    readonly attempt?: number;
    readonly invisibleUntil?: string;
    readonly clientId?: string;
    readonly deadLetter?: { readonly topic: string; readonly offset: number };
  }[];
}

interface Sent {
  readonly broker: string;
  readonly messageId: string;
  readonly transactionId?: string;
  readonly transaction?: string;
  readonly recallHandle?: string;
}

interface Resent {
  readonly broker: string;
  readonly messages: readonly { readonly messageId: string; readonly outcome: string }[];
  readonly left: number;
}

describe("mqadmin for messages", function () {
  this.timeout(90_000);
  let cluster: ClusterProcesses;
  let nameServer = "";

  before(async () => {
    cluster = await ClusterProcesses.start({ nameServers: 1, masters: 2 });
    nameServer = cluster.nameServers[0]?.address ?? "";
    const types = { tracked: "NORMAL", mixed: "MIXED", ranked: "PRIORITY" };
    await Promise.all(
      Object.entries(types).map(([topic, type]) =>
        cluster.createTopic(topic, "-r", "1", "-w", "1", "-a", `+message.type=${type}`),
      ),
    );
  });
  after(() => cluster.close());

  const json = <T>(...args: string[]): Promise<T> => mqadminJson<T>(nameServer, ...args);

  async function refused(code: number, pattern: RegExp, ...args: string[]): Promise<void> {
    const outcome = await mqadmin(...args, "-n", nameServer);
    assert.equal(outcome.code, code, outcome.stdout + outcome.stderr);
    assert.match(outcome.stderr, pattern);
  }

  const send = (topic: string, ...args: string[]): Promise<Sent> =>
    json<Sent>("sendMessage", "-t", topic, ...args);

  async function find(topic: string, messageId: string): Promise<Found> {
    const found = await json<Found[]>("queryMsgById", "-t", topic, "-i", messageId);
    assert.equal(found.length, 1, JSON.stringify(found));
    return found[0] as Found;
  }

  async function stateOf(topic: string, messageId: string) {
    const { deliveries } = await find(topic, messageId);
    return deliveries?.map(({ group, state }) => `${group} ${state}`);
  }

  async function consumer(consumerGroup: string, topic: string, tag = "*") {
    const simple = new SimpleConsumer({
      endpoints: nameServer,
      consumerGroup,
      subscriptions: new Map([[topic, tag]]),
      awaitDuration: 500,
    });
    await simple.startup();
    return simple;
  }

  /** So many messages, of both masters; they stay out for five minutes. */
  async function receive(simple: SimpleConsumer, count: number): Promise<MessageView[]> {
    const messages: MessageView[] = [];
    while (messages.length < count) messages.push(...(await receiveOnce(simple)));
    return messages;
  }

  /** One receive at each master. */
  async function receiveOnce(simple: SimpleConsumer): Promise<MessageView[]> {
    return (await Promise.all([1, 2].map(() => simple.receive(1, 300_000)))).flat();
  }

  it("follows a message with all its properties through its life", async () => {
    const content = ["-p", "hello", "-k", "k1 k2", "-c", "blue"];
    const properties = ["--property", "a=1", "--property", "b=x y"];
    const { messageId, broker } = await send("tracked", "-b", "m2", ...content, ...properties);
    assert.equal(broker, "m2");
    assert.deepEqual(await stateOf("tracked", messageId), []);
    await using simple = await consumer("life", "tracked");
    const [message] = await receive(simple, 1);
    assert.ok(message);
    const found = await find("tracked", messageId);
    assert.deepEqual(
      [found.broker, found.type, found.tag, found.keys, found.properties, found.body],
      ["m2", "NORMAL", "blue", ["k1", "k2"], { a: "1", b: "x y" }, "hello"],
    );
    assert.equal(found.system["bodyEncoding"], "IDENTITY");
    const [delivery] = found.deliveries ?? [];
    assert.deepEqual(
      [delivery?.group, delivery?.state, delivery?.attempt, delivery?.clientId],
      ["life", "INVISIBLE", 1, simple.clientId],
    );
    assert.ok(Date.parse(delivery?.invisibleUntil ?? "") > Date.now() + 200_000);
    const key = ["queryMsgByKey", "-t", "tracked", "-k", "k2", "-n", nameServer];
    const text = (await mqadmin(...key, "-g", "life")).stdout;
    assert.match(text, /State: +life: invisible until .*: delivery 1 to /);
    assert.match(text, /Properties: +a=1 b=x y/);
    await simple.ack(message);
    const unique = ["queryMsgByUniqueKey", "-t", "tracked", "-i", messageId, "-n", nameServer];
    assert.match((await mqadmin(...unique)).stdout, /State: +life: acknowledged/);
    await using other = await consumer("filtered", "tracked", "red");
    assert.deepEqual(await receiveOnce(other), []);
    assert.deepEqual(await stateOf("tracked", messageId), ["filtered FILTERED", "life DONE"]);
    const [shown] = await json<Found[]>("consumeMessage", "-t", "tracked", "-g", "life");
    assert.deepEqual(shown?.deliveries, [{ group: "life", state: "DONE" }]);
  });

  it("finds delayed and half messages by id and key, and says how they ended", async () => {
    const delayed = await send("mixed", "-p", "later", "-k", "wait", "--delay", "1h");
    assert.ok(delayed.recallHandle);
    const { hold, type } = await find("mixed", delayed.messageId);
    assert.deepEqual([type, hold?.state], ["DELAY", "DELAYED"]);
    assert.ok(Math.abs(Date.parse(hold?.until ?? "") - Date.now() - 3_600_000) < 60_000);
    const half = await send("mixed", "-p", "half", "-k", "wait", "--transaction", "open");
    assert.equal(half.transaction, "open");
    assert.equal((await find("mixed", half.messageId)).hold?.state, "HALF");
    const byKey = await json<Found[]>("queryMsgByKey", "-t", "mixed", "-k", "wait");
    const states = byKey.map(({ messageId, hold: held }) => [messageId, held?.state] as const);
    assert.deepEqual(
      new Map(states),
      new Map([
        [delayed.messageId, "DELAYED"],
        [half.messageId, "HALF"],
      ]),
    );
    const committed = await send("mixed", "-p", "in", "--transaction", "commit");
    const visible = await find("mixed", committed.messageId);
    assert.deepEqual([visible.type, visible.hold], ["TRANSACTION", undefined]);
    const gone = await send("mixed", "-p", "out", "--transaction", "rollback");
    assert.equal((await find("mixed", gone.messageId)).hold?.state, "ENDED");
  });

  it("sends and shows every kind, and passes on why a topic does not take one", async () => {
    const fifo = await send("mixed", "-p", "1", "--messageGroup", "group-1");
    const found = await find("mixed", fifo.messageId);
    assert.deepEqual([found.type, found.system["messageGroup"]], ["FIFO", "group-1"]);
    const ranked = await send("ranked", "-p", "1", "--priority", "7");
    const { type, system } = await find("ranked", ranked.messageId);
    assert.deepEqual([type, system["priority"]], ["PRIORITY", "7"]);
    const table = await mqadmin("consumeMessage", "-t", "mixed", "-n", nameServer);
    assert.match(table.stdout, /FIFO group-1/);
    const body = ["sendMessage", "-t", "tracked", "-p", "x"];
    const wrong = [
      ["--messageGroup", "g", /type FIFO, but topic "tracked" accepts NORMAL/],
      ["--delay", "1h", /type DELAY/],
      ["--transaction", "commit", /type TRANSACTION/],
      ["--priority", "5", /type PRIORITY/],
      ["--liteTopic", "l", /type LITE/],
    ] as const;
    await Promise.all(
      wrong.map(([flag, value, reason]) => refused(1, reason, ...body, flag, value)),
    );
    await refused(2, /do not go together/, ...body, "--delay", "1h", "--messageGroup", "g");
  });

  it("resends dead letters to their group alone, once, with fresh attempts", async () => {
    const topic = "letters";
    await cluster.createTopic(topic, "-r", "1", "-w", "1");
    for (const group of ["failing", "other"]) {
      await json("updateSubGroup", "-c", "DefaultCluster", "-g", group, "-r", "0");
    }
    const ids: string[] = [];
    for (const broker of ["m1", "m2"]) {
      const property = ["--property", `from=${broker}`];
      ids.push((await send(topic, "-p", "x", "-b", broker, ...property)).messageId);
    }
    await using failing = await consumer("failing", topic);
    await using other = await consumer("other", topic);
    for (const message of await receive(other, 2)) await other.ack(message);
    for (const message of await receive(failing, 2)) {
      await failing.changeInvisibleDuration(message, 0);
    }
    const [first = "", second = ""] = ids;
    // The next receive finds that they have had their last delivery.
    const buried = new AbortController();
    const burying = (async () => {
      while (!buried.signal.aborted) assert.deepEqual(await receiveOnce(failing), []);
    })();
    while (!buried.signal.aborted) {
      const states = await Promise.all(ids.map((id) => stateOf(topic, id)));
      if (states.every((state) => state?.[0] === "failing DEAD_LETTER")) buried.abort();
    }
    await burying;
    const { deliveries } = await find(topic, first);
    assert.equal(deliveries?.[0]?.deadLetter?.topic, "%DLQ%failing");
    const one = await json<Resent[]>("resendDLQ", "-g", "failing", "-i", first);
    assert.deepEqual(
      one.flatMap(({ broker, messages }) => messages.map(({ outcome }) => `${broker} ${outcome}`)),
      ["m1 RESENT"],
    );
    const all = await json<Resent[]>("resendDLQ", "-g", "failing", "-m", "10");
    assert.deepEqual(
      all.flatMap(({ messages }) => messages.map(({ messageId }) => messageId)),
      [second],
    );
    const got = await receive(failing, 2);
    assert.deepEqual(got.map(({ messageId }) => messageId).sort(), ids.toSorted());
    assert.deepEqual(
      got.map(({ deliveryAttempt }) => deliveryAttempt),
      [1, 1],
    );
    assert.deepEqual(
      new Set(got.map(({ properties }) => properties.get("from"))),
      new Set(["m1", "m2"]),
    );
    for (const message of got) await failing.ack(message);
    const rest = await mqadmin("resendDLQ", "-g", "failing", "-n", nameServer);
    assert.match(rest.stdout, /m1: 0 of 0 dead letters resent/);
    for (const id of ids) {
      assert.deepEqual(await stateOf(topic, id), ["failing DONE", "other DONE"]);
    }
    await refused(1, /no dead letter with id 01AB/, "resendDLQ", "-g", "failing", "-i", "01AB");
    await refused(1, /no dead letters/, "resendDLQ", "-g", "other");
    await refused(2, /not both/, "resendDLQ", "-g", "failing", "-i", first, "-m", "3");
  });

  it("shows how long sends take, broker by broker", async () => {
    const args = ["checkMsgSendRT", "-t", "tracked", "-a", "6", "-s", "1000"];
    const { sent, failed, sends } = await json<{
      readonly sent: number;
      readonly failed: number;
      readonly sends: readonly { readonly broker: string; readonly rtMs: number }[];
    }>(...args);
    assert.deepEqual([sent, failed], [6, 0]);
    assert.deepEqual(
      sends.map(({ broker }) => broker),
      ["m1", "m2", "m1", "m2", "m1", "m2"],
    );
    assert.ok(sends.every(({ rtMs }) => rtMs > 0));
    await refused(
      2,
      /--amount must be a whole number from 1/,
      "checkMsgSendRT",
      "-t",
      "x",
      "-a",
      "0",
    );
  });

  it("shows what it has found when a broker gives no answer, and says so", async () => {
    const { messageId } = await send("tracked", "-p", "x", "-b", "m1");
    const [, lost] = cluster.masters;
    lost?.program.child.kill("SIGSTOP");
    const query = ["queryMsgById", "-t", "tracked", "-i", messageId, "-n", nameServer];
    const { code, stdout, stderr } = await mqadmin(...query, "--timeout", "1000");
    lost?.program.child.kill("SIGCONT");
    assert.equal(code, 1);
    assert.match(stdout, new RegExp(messageId));
    assert.match(
      stderr,
      /no answer from 1 of the topic's brokers:\s+m2: .* did not answer in time/,
    );
  });
});
