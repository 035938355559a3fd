import assert from "node:assert/strict";
import {
  Code,
  type cometmq,
  type Method,
  messagingService,
  nameServerService,
} from "@cometmq/proto";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import {
  type Clock,
  Configuration,
  namesrvRole,
  parseAddress,
  silentLogger,
  systemClock,
  systemRandom,
} from "../base/index.ts";
import { openGrpcRegistrar, type Registrar } from "../registrar/index.ts";
import { wholeTable } from "../registrar/table-events.ts";
import type { Registration } from "../route/index.ts";
import { NameServer } from "./index.ts";

/** Ten times as fast, so that heartbeats and waits do not hold the tests up. */
const hurriedClock: Clock = {
  ...systemClock,
  after: (delayMs, task, options) => systemClock.after(delayMs / 10, task, options),
  every: (periodMs, task) => systemClock.every(periodMs / 10, task),
};

function table(parts: Partial<Registration> = {}): Registration {
  const topic = {
    name: "t",
    readQueueNums: 2,
    writeQueueNums: 2,
    perm: 6,
    messageType: "NORMAL",
    order: false,
  };
  return {
    clusterName: "c",
    brokerName: "a",
    brokerId: 0,
    host: "",
    port: 8081,
    haPort: 10912,
    version: { epoch: 1, counter: 1 },
    topics: [topic],
    ...parts,
  };
}

async function until(condition: () => unknown, what: string): Promise<void> {
  const endMs = performance.now() + 5_000;
  while (!(await condition())) {
    if (performance.now() > endMs) assert.fail(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function registered(registrar: Registrar): () => boolean {
  return () => registrar.status().every(({ state }) => state === "registered");
}

describe("name server", () => {
  let nameServer: NameServer;
  let client: Client;
  const opened: Registrar[] = [];

  async function start(port = 0): Promise<void> {
    const flags = { listenPort: String(port), metricsPromExporterPort: "0" };
    const { values } = Configuration.load(namesrvRole, { flags });
    nameServer = await NameServer.open({
      config: values,
      clock: systemClock,
      logger: silentLogger,
    });
    client = new Client(`localhost:${nameServer.port}`, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
    });
  }

  beforeEach(() => start());
  afterEach(async () => {
    for (const registrar of opened.splice(0)) await registrar.close();
    client.close();
    await nameServer.close();
  });

  function call<Req, IReq, Res, IRes>(
    method: Method<"unary", Req, IReq, Res, IRes>,
    request: IReq,
  ): Promise<Res> {
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        method.path,
        (value: IReq) => Buffer.from(method.request.encode(value)),
        (bytes: Buffer) => method.response.decode(bytes),
        request,
        (error, response) => (error === null && response ? resolve(response) : reject(error)),
      );
    });
  }

  async function link(clock: Clock = systemClock, ports = [nameServer.port]): Promise<Registrar> {
    const addresses = ports.flatMap((port) => parseAddress(`127.0.0.1:${port}`) ?? []);
    const options = { clock, random: systemRandom, logger: silentLogger };
    const registrar = await openGrpcRegistrar({ addresses, ...options });
    opened.push(registrar);
    return registrar;
  }

  function raw(path: string, request: Buffer): Promise<Buffer> {
    const same = (bytes: Buffer): Buffer => bytes;
    return new Promise((resolve, reject) => {
      const stream = client.makeBidiStreamRequest(path, same, same);
      stream.on("error", reject);
      stream.on("data", resolve);
      stream.write(request);
      stream.end();
    });
  }

  const { ClusterList, ListTopics, QueryTopicRoute } = nameServerService.methods;
  const { QueryRoute, SendMessage } = messagingService.methods;

  async function topics(): Promise<string[]> {
    return (await call(ListTopics, {})).topics.map(({ name }) => name);
  }

  it("serves the route of a registered broker until the broker leaves", async () => {
    const broker = await link();
    broker.publish(table());
    await until(registered(broker), "registered");
    const route = await call(QueryRoute, { topic: { name: "t" } });
    assert.equal(route.status?.code, Code.OK);
    assert.deepEqual(
      route.messageQueues.map(({ id }) => id),
      [0, 1],
    );
    // A broker on this machine is where the client found the NameServer.
    assert.deepEqual(
      route.messageQueues[0]?.broker?.endpoints?.addresses.map(({ host, port }) => [host, port]),
      [["localhost", 8081]],
    );
    await broker.close();
    await until(async () => (await topics()).length === 0, "gone");
    const gone = await call(QueryRoute, { topic: { name: "t" } });
    assert.equal(gone.status?.code, Code.TOPIC_NOT_FOUND);
    assert.match(gone.status?.message ?? "", /^CODE: 17 {2}DESC: No topic route info .*topic: t$/);
  });

  it("follows changes of topics", async () => {
    const broker = await link();
    const [topic] = table().topics;
    assert.ok(topic !== undefined);
    broker.publish(table());
    await until(registered(broker), "registered");
    broker.publish(table({ version: { epoch: 1, counter: 2 }, topics: [{ ...topic, name: "u" }] }));
    await until(async () => (await topics()).join() === "u", "changed");
  });

  it("gives out brokerIP1 when it is set, to operators too", async () => {
    const broker = await link();
    broker.publish(table({ host: "broker.example" }));
    await until(registered(broker), "registered");
    const route = await call(QueryRoute, { topic: { name: "t" } });
    const endpoints = route.messageQueues[0]?.broker?.endpoints;
    assert.equal(endpoints?.scheme, 3);
    assert.equal(endpoints?.addresses[0]?.host, "broker.example");
    const { brokers } = await call(ClusterList, {});
    assert.equal(brokers[0]?.address?.host, "broker.example");
    assert.equal(brokers[0]?.haAddress, "broker.example:10912");
    // It was seen on the loopback interface: for the asker that is where he found the NameServer.
    assert.match(brokers[0]?.observedAddress ?? "", /^(localhost|127\.0\.0\.1):8081$/);
    assert.match(brokers[0]?.observedHaAddress ?? "", /^(localhost|127\.0\.0\.1):10912$/);
    assert.equal(brokers[0]?.topicCount, 1);
    assert.ok(Math.abs((brokers[0]?.registeredAtMs ?? 0) - Date.now()) < 10_000);
    assert.deepEqual((await call(ClusterList, { cluster: "other" })).brokers, []);
    const raw = await call(QueryTopicRoute, { topic: "t" });
    assert.equal(raw.entries[0]?.readQueues, 2);
    const unknown = await call(QueryTopicRoute, { topic: "x" });
    assert.equal(unknown.status?.code, Code.TOPIC_NOT_FOUND);
  });

  it("gives clients masters only", async () => {
    const [master, replica] = [await link(), await link()];
    master.publish(table());
    replica.publish(table({ brokerId: 1, port: 8082 }));
    await until(() => registered(master)() && registered(replica)(), "registered");
    const route = await call(QueryRoute, { topic: { name: "t" } });
    assert.deepEqual(new Set(route.messageQueues.map(({ broker }) => broker?.id)), new Set([0]));
    assert.equal((await call(ClusterList, {})).brokers.length, 2);
    assert.equal((await call(ClusterList, { brokerName: "none" })).brokers.length, 0);
  });

  it("tells a broker who else has its name, and where it can dial them", async () => {
    const [master, replica] = [await link(), await link(hurriedClock)];
    master.publish(table());
    replica.publish(table({ brokerId: 1, port: 8082, duty: "slave", topics: [] }));
    await until(() => replica.replicas().length === 2, "both seen");
    const [seen] = replica.mastersSeen();
    assert.deepEqual(seen, {
      brokerId: 0,
      duty: "master",
      epoch: 1,
      grpcAddress: "127.0.0.1:8081",
      haAddress: "127.0.0.1:10912",
      nameServers: [`127.0.0.1:${nameServer.port}`],
    });
    let changes = 0;
    replica.onChange(() => changes++);
    await master.close();
    await until(() => replica.mastersSeen().length === 0, "the master is seen no more");
    assert.ok(changes > 0);
    const [asked] = await Promise.all(replica.askBrokers("a", 5_000));
    assert.deepEqual(
      asked?.brokers.map(({ brokerId, duty }) => [brokerId, duty]),
      [[1, "slave"]],
    );
  });

  it("routes to the elected master of the newest reign, and to who acts when there is none", async () => {
    const [old, next] = [await link(), await link()];
    old.publish(table({ brokerId: 1, duty: "master", version: { epoch: 4, counter: 1 } }));
    await until(registered(old), "the old one");
    next.publish(
      table({ brokerId: 2, port: 8082, duty: "acting", version: { epoch: 4, counter: 1 } }),
    );
    await until(registered(next), "the next one");
    const port = async (): Promise<unknown> => {
      const { messageQueues } = await call(QueryRoute, { topic: { name: "t" } });
      assert.ok(messageQueues.every(({ broker }) => broker?.id === 0));
      return messageQueues[0]?.broker?.endpoints?.addresses[0]?.port;
    };
    assert.equal(await port(), 8081);
    next.publish(
      table({ brokerId: 2, port: 8082, duty: "master", version: { epoch: 5, counter: 2 } }),
    );
    await until(async () => (await port()) === 8082, "the new reign");
    const asked = await Promise.all(old.askTopic("t", 5_000));
    assert.deepEqual(
      asked.flatMap((answer) => answer?.brokers.map(({ epoch }) => epoch)),
      [5],
    );
  });

  it("answers the first try to register: refused with the reason, or registered", async () => {
    const [first, second] = [await link(), await link()];
    first.publish(table());
    assert.deepEqual(await first.firstAnswer(5_000), { kind: "registered" });
    second.publish(table({ port: 8082 }));
    const answer = await second.firstAnswer(5_000);
    assert.equal(answer.kind, "refused");
    assert.match(answer.reason, /taken by the live broker at 127\.0\.0\.1:8081/);
  });

  it("refuses a second master of one name, naming the first, and takes it when the first is gone", async () => {
    const [first, second] = [await link(), await link(hurriedClock)];
    first.publish(table());
    await until(registered(first), "first registered");
    second.publish(table({ port: 8082 }));
    await until(() => second.status()[0]?.state === "refused", "second refused");
    assert.match(second.status()[0]?.reason ?? "", /taken by the live broker at 127\.0\.0\.1:8081/);
    await first.close();
    await until(registered(second), "second registered");
  });

  it("refuses a registration that makes no sense", async () => {
    const broker = await link();
    broker.publish(table({ brokerName: "no name" }));
    await until(() => broker.status()[0]?.state === "refused", "refused");
    assert.match(broker.status()[0]?.reason ?? "", /brokerName "no name" is no name/);
  });

  it("gets its brokers back within two seconds after a restart", async () => {
    const broker = await link();
    broker.publish(table());
    await until(registered(broker), "registered");
    const { port } = nameServer;
    client.close();
    await nameServer.close();
    await until(() => !registered(broker)(), "loss noticed");
    await start(port);
    const beganMs = performance.now();
    await until(async () => (await topics()).length === 1, "back");
    assert.ok(performance.now() - beganMs < 2_000);
  });

  it("takes a broker in this process without a network", async () => {
    const local = nameServer.attach("i");
    assert.equal(local.publish(table()), undefined);
    assert.deepEqual(await topics(), ["t"]);
    const other = nameServer.attach("j");
    assert.match(other.publish(table({ port: 1 })) ?? "", /taken/);
    local.close();
    assert.deepEqual(await topics(), []);
    assert.equal(other.publish(table({ port: 1 })), undefined);
  });

  it("says where to go to clients that want more than routes", async () => {
    await assert.rejects(call(SendMessage, {}), (error: ServiceError) => {
      assert.equal(error.code, status.UNIMPLEMENTED);
      assert.match(error.details, /this is a NameServer.*address of a broker/);
      return true;
    });
  });

  it("serves reflection and health", async () => {
    const [health, reflection] = await Promise.all([
      raw("/grpc.health.v1.Health/Check", Buffer.alloc(0)),
      // list_services
      raw("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Buffer.from([0x3a, 0])),
    ]);
    assert.deepEqual([...health], [8, 1]);
    assert.match(reflection.toString(), /cometmq\.v1\.NameServer/);
  });

  it("serves metrics and readiness", async () => {
    const broker = await link(hurriedClock);
    broker.publish(table());
    await until(registered(broker), "registered");
    await topics();
    const base = `http://127.0.0.1:${nameServer.metricsPort}`;
    const text = await (await fetch(`${base}/metrics`)).text();
    assert.match(text, /^cometmq_namesrv_brokers\{broker_cluster="c",node_type="namesrv"\} 1$/m);
    assert.match(text, /^cometmq_namesrv_topics\{.*\} 1$/m);
    assert.match(text, /ListTopics",grpc_status="0",.*\} 1$/m);
    assert.equal((await fetch(`${base}/readyz`)).status, 200);
  });
});

describe("a silent broker", () => {
  it("is gone after ten seconds, and its stream is ended", async () => {
    const flags = { listenPort: "0", metricsPromExporterPort: "0" };
    const { values } = Configuration.load(namesrvRole, { flags });
    const clock = { ...hurriedClock, monotonicMs: () => systemClock.monotonicMs() * 20 };
    const nameServer = await NameServer.open({ config: values, clock, logger: silentLogger });
    const client = new Client(`127.0.0.1:${nameServer.port}`, credentials.createInsecure());
    const { Register } = nameServerService.methods;
    const stream = client.makeBidiStreamRequest(
      Register.path,
      (event: cometmq.v1.IBrokerEvent) => Buffer.from(Register.request.encode(event)),
      (bytes: Buffer) => Register.response.decode(bytes),
    );
    const facts = { instanceId: "i", startedAtMs: 1, softwareVersion: "0" };
    const ended = new Promise<string>((resolve) => {
      stream.on("error", (error: ServiceError) => resolve(error.details));
    });
    const first = new Promise((resolve) => {
      stream.once("data", resolve);
    });
    stream.write(wholeTable(table(), facts));
    await first;
    assert.match(await ended, /silent for more than 10000 ms/);
    client.close();
    await nameServer.close();
  });
});

describe("two name servers", () => {
  it("each serve what they know; one being away disturbs nobody", async () => {
    const flags = { listenPort: "0", metricsPromExporterPort: "0" };
    const { values } = Configuration.load(namesrvRole, { flags });
    const options = { config: values, clock: systemClock, logger: silentLogger };
    const [one, two] = [await NameServer.open(options), await NameServer.open(options)];
    const addresses = [one, two].flatMap(({ port }) => parseAddress(`127.0.0.1:${port}`) ?? []);
    const tools = { clock: systemClock, random: systemRandom, logger: silentLogger };
    const registrar = await openGrpcRegistrar({ addresses, ...tools });
    registrar.publish(table());
    const states = (): string =>
      registrar
        .status()
        .map(({ state }) => state)
        .join();
    await until(() => states() === "registered,registered", "both");
    await one.close();
    await until(() => states() === "connecting,registered", "one");
    await registrar.close();
    await two.close();
  });
});
