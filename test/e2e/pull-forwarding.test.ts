// Calls about queues of another broker: offsets, pulls and shares, over the one that the client has dialled. Two brokers in
// this process, of which each is told where the other is.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, messagingService, type rocketmq } from "@cometmq/proto";
import {
  brokerRole,
  Configuration,
  limits,
  silentLogger,
  systemClock,
  systemRandom,
} from "../../base/index.ts";
import { Broker } from "../../broker/index.ts";
import { nodeDisk } from "../../broker/store/index.ts";
import { ToldRegistrar } from "../../registrar/testkit/index.ts";
import { brokerAdminService, RawClient } from "./raw-client.ts";
import { holder } from "./told-brokers.ts";
import { until } from "./waiting.ts";

const { methods } = messagingService;
const group = { name: "g" };
const topic = { name: "t" };

describe("offsets and pulls of another broker's queue", function () {
  this.timeout(30_000);
  let folder: string;
  const registrars: Record<string, ToldRegistrar> = {};
  const brokers: Broker[] = [];
  const clients: RawClient[] = [];
  let a: Broker;
  let b: Broker;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-pull-forwarding-"));
    a = await open("a");
    b = await open("b");
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await Promise.all(brokers.splice(0).map((broker) => broker.close()));
    await rm(folder, { recursive: true, force: true });
  });

  async function open(brokerName: string): Promise<Broker> {
    const ports = { grpcServerPort: "0", metricsPromExporterPort: "0", haListenPort: "0" };
    const registrar = new ToldRegistrar();
    registrars[brokerName] = registrar;
    const broker = await Broker.open({
      config: Configuration.load(brokerRole, {
        flags: { storePathRootDir: join(folder, brokerName), brokerName, ...ports },
      }),
      clock: systemClock,
      random: systemRandom,
      disk: nodeDisk,
      logger: silentLogger,
      registrar,
    });
    brokers.push(broker);
    return broker;
  }

  function client(broker: Broker, id = "client@1"): RawClient {
    const raw = new RawClient(`127.0.0.1:${broker.grpcPort}`, id);
    clients.push(raw);
    return raw;
  }

  /** Makes the topic with 4 queues, and tells the others that this broker has it. */
  async function makeTopic(brokerName: string, broker: Broker): Promise<void> {
    const wish = { name: topic.name, readQueues: 4, writeQueues: 4 };
    await client(broker, "admin").call(brokerAdminService.methods.UpdateTopic, wish);
    const place = holder(brokerName, broker.grpcPort, {
      topic: {
        name: topic.name,
        readQueueNums: 4,
        writeQueueNums: 4,
        perm: 6,
        messageType: "NORMAL",
        order: false,
      },
    });
    for (const [name, registrar] of Object.entries(registrars)) {
      if (name !== brokerName) registrar.servers = [{ brokers: [place], isSettled: true }];
    }
  }

  async function send(from: RawClient, body: string): Promise<void> {
    const systemProperties = { messageId: body, messageType: 1, bodyEncoding: 1, queueId: 1 };
    const message = { topic, systemProperties, body: Buffer.from(body) };
    const { status } = await from.call(methods.SendMessage, { messages: [message] });
    assert.equal(status?.code, Code.OK, status?.message);
  }

  const messageQueue = { topic, id: 1, broker: { name: "b" } };
  const pulling = (offset: number, seconds = 0): rocketmq.v2.IPullMessageRequest => ({
    group,
    messageQueue,
    offset,
    batchSize: 32,
    longPollingTimeout: { seconds },
  });

  it("are answered by its owner", async () => {
    await makeTopic("b", b);
    for (const body of ["x", "y", "z"]) await send(client(b), body);
    const far = client(a);
    const { GetOffset, QueryOffset, UpdateOffset } = methods;
    const none = await far.call(GetOffset, { group, messageQueue });
    assert.equal(none.status?.code, Code.OFFSET_NOT_FOUND);
    const end = await far.call(QueryOffset, { messageQueue, queryOffsetPolicy: 1 });
    assert.deepEqual([end.status?.code, end.offset], [Code.OK, 3]);
    const updated = await far.call(UpdateOffset, { group, messageQueue, offset: 2 });
    assert.equal(updated.status?.code, Code.OK, updated.status?.message);
    for (const asked of [far, client(b)]) {
      const got = await asked.call(GetOffset, { group, messageQueue });
      assert.deepEqual([got.status?.code, got.offset], [Code.OK, 2]);
    }
    const refused = await far.call(UpdateOffset, { group, messageQueue, offset: 4 });
    assert.equal(refused.status?.code, Code.ILLEGAL_OFFSET);
    const pulled = await far.pull(pulling(1)).done;
    assert.deepEqual(
      pulled.messages.map(({ body }) => Buffer.from(body).toString()),
      ["y", "z"],
    );
    assert.equal(pulled.nextOffset, 3);
    const outside = await far.pull(pulling(9)).done;
    assert.deepEqual([outside.code, outside.nextOffset], [Code.ILLEGAL_OFFSET, 3]);
    // The first broker has nothing of all this.
    const { GetConsumerProgress } = brokerAdminService.methods;
    const progress = await client(a, "admin").call(GetConsumerProgress, {});
    assert.deepEqual(progress.queues, []);
  });

  it("are held there, and end there with the client or with the broker in between", async () => {
    await makeTopic("b", b);
    const { GetConsumerConnection } = brokerAdminService.methods;
    const isThere = async (): Promise<boolean> => {
      const members = await client(b, "admin").call(GetConsumerConnection, { group: "g" });
      return members.clients.length > 0;
    };
    const held = client(a).pull(pulling(0, 20));
    await until("the pull at the owner", isThere);
    await send(client(b), "x");
    assert.equal((await held.done).messages.length, 1);
    const left = client(a).pull(pulling(1, 20));
    left.cancel();
    await assert.rejects(left.done, /CANCELLED/);
    const last = client(a).pull(pulling(1, 20));
    await until("the pull at the owner", isThere);
    await a.close();
    const answer = await last.done;
    assert.deepEqual([answer.code, answer.nextOffset], [Code.MESSAGE_NOT_FOUND, 1]);
  });

  it("wait for a master to appear, and fail for want of one after a while", async () => {
    await makeTopic("b", b);
    const registrar = registrars["a"] ?? assert.fail();
    const told = registrar.servers;
    registrar.servers = [{ brokers: [], isSettled: true }];
    const asked = registrar.askedCount;
    const offset = client(a).call(methods.QueryOffset, { messageQueue });
    await until("the first look", () => registrar.askedCount > asked);
    registrar.servers = told;
    assert.equal((await offset).status?.code, Code.OK);
    const nobody = { ...messageQueue, broker: { name: "nobody" } };
    const failed = await client(a).call(methods.QueryOffset, { messageQueue: nobody });
    assert.equal(failed.status?.code, Code.HA_NOT_AVAILABLE);
  });

  it("are shared out by one broker, whichever is asked, under addresses that the asker reaches", async () => {
    await makeTopic("b", b);
    await makeTopic("a", a);
    const beat = { group, clientType: 4 };
    const members = [client(a, "m1"), client(b, "m2"), client(b, "m3")];
    for (const member of members) await member.call(methods.Heartbeat, beat);
    const ask = (member: RawClient): Promise<rocketmq.v2.QueryAssignmentResponse> =>
      member.call(methods.QueryAssignment, { topic, group });
    const startMs = Date.now();
    const answers = await Promise.all(members.map(ask));
    assert.ok(Date.now() - startMs >= limits.pullShareSettleMs - 100, "they waited for each other");
    assert.deepEqual(answers.map(namesOf), [
      ["a0", "a1", "a2"],
      ["a3", "b0", "b1"],
      ["b2", "b3"],
    ]);
    const ports = answers[1]?.assignments.map(
      ({ messageQueue: queue }) => queue?.broker?.endpoints?.addresses[0]?.port,
    );
    assert.deepEqual(ports, [a.grpcPort, b.grpcPort, b.grpcPort]);
    await members[0]?.call(methods.NotifyClientTermination, { group });
    const [, second = assert.fail(), third = assert.fail()] = members;
    assert.deepEqual(namesOf(await ask(second)), ["a0", "a1", "a2", "a3"]);
    assert.deepEqual(namesOf(await ask(third)), ["b2", "b3"], "m2 may not have let go yet");
    await ask(second);
    assert.deepEqual(namesOf(await ask(third)), ["b0", "b1", "b2", "b3"]);
  });

  function namesOf({ assignments }: rocketmq.v2.QueryAssignmentResponse): string[] {
    return assignments.map(({ messageQueue: queue }) => `${queue?.broker?.name}${queue?.id}`);
  }
});
