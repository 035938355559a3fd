// The commands about elections and replication, against brokers and a NameServer that answer what a test says: what an
// operator sees, and whom mqadmin asks.
import assert from "node:assert/strict";
import { brokerAdminService, type cometmq, nameServerService } from "@cometmq/proto";
import { silentLogger, systemClock } from "../../base/index.ts";
import { GrpcServer, type MethodHandler } from "../../transport/index.ts";
import { mqadmin, type Outcome } from "./mqadmin-run.ts";

const { methods } = brokerAdminService;
const status = { code: 20_000, message: "OK" };
const duty = { master: 1, slave: 2, acting: 3 } as const;

type Handlers = Map<string, MethodHandler>;

/** Adds an answer to `handlers`. */
function answering<Request, Answer>(
  handlers: Handlers,
  method: {
    readonly path: string;
    readonly request: { decode(bytes: Uint8Array): Request };
    readonly response: { encode(value: Answer): Uint8Array };
  },
  answer: (request: Request) => Answer,
): void {
  handlers.set(method.path, {
    kind: "unary",
    handle: async (bytes) => method.response.encode(answer(method.request.decode(bytes))),
  });
}

const servers: GrpcServer[] = [];

async function serve(handlers: Handlers): Promise<string> {
  const server = await GrpcServer.listen({
    host: "127.0.0.1",
    port: 0,
    methods: handlers,
    services: { names: [], files: new Map() },
    tls: { mode: "disabled" },
    clock: systemClock,
    logger: silentLogger,
  });
  servers.push(server);
  return `127.0.0.1:${server.port}`;
}

/** A group of three that elects: id 1 rules, 2 is in sync, 3 is not. Notes who was asked to elect. */
class ElectedGroup {
  readonly name: string;
  readonly addresses: string[] = [];
  readonly elected: string[] = [];
  masterId = 1;
  addressesKnown = true;

  constructor(name: string) {
    this.name = name;
  }

  async start(): Promise<void> {
    for (const id of [1, 2, 3]) this.addresses.push(await serve(this.#handlers(id)));
  }

  listed(): cometmq.v1.IRegisteredBroker[] {
    return this.addresses.map((address, index) => ({
      cluster: "c",
      brokerName: this.name,
      brokerId: index + 1,
      address: { host: "127.0.0.1", port: Number(address.split(":")[1]) },
      version: { epoch: 7, counter: 1 },
      duty: index + 1 === this.masterId ? duty.master : duty.slave,
    }));
  }

  #syncState(): cometmq.v1.ISyncState {
    return {
      brokerName: this.name,
      masterId: this.masterId,
      epoch: 7 + this.elected.length,
      members: this.addresses.map((address, index) => ({
        brokerId: index + 1,
        address: this.addressesKnown ? address : "",
        inSync: index < 2,
        alive: index < 2,
        logEndPosition: 1000 - index,
      })),
    };
  }

  #handlers(id: number): Handlers {
    const handlers: Handlers = new Map();
    answering(handlers, methods.GetSyncState, () => ({ status, syncState: this.#syncState() }));
    answering(handlers, methods.ElectMaster, ({ brokerName, brokerId }) => {
      this.elected.push(`${id}: ${brokerName} ${brokerId}`);
      if (brokerId === 3) return { status: { code: 40_000, message: "broker 3 is not in sync" } };
      this.masterId = brokerId;
      return { status, syncState: this.#syncState(), tookMs: 321 };
    });
    const lag = { lagBytes: 500, lagMessages: 3, lagMs: 20 };
    const slaves = [
      { brokerId: 2, address: "s2:1", inSync: true, connected: true, writtenPosition: 500, ...lag },
      { brokerId: 3, address: "s3:1", inSync: false, connected: false },
    ];
    const master = { brokerId: 1, address: "m1:1", connected: id === 2, reason: "refused", ...lag };
    const ha: cometmq.v1.IHaStatus = {
      cluster: "c",
      brokerName: this.name,
      brokerId: id,
      standing: id === 1 ? "master" : "slave",
      epoch: 7,
      logEndPosition: 1000,
      elected: true,
      ...(id === 1 ? { slaves } : { master }),
    };
    answering(handlers, methods.GetHaStatus, () => ({ status, ha }));
    answering(handlers, methods.GetBrokerStatus, () => ({ status, role: ha.standing ?? "", ha }));
    answering(handlers, methods.GetControllerState, () => ({
      status,
      leaseSeconds: 2,
      members: [
        { address: "e1:2379", name: "etcd-1", reachable: true, leader: true, version: "3.5.16" },
        { address: "e2:2379", reachable: false, reason: "timed out" },
      ],
    }));
    answering(handlers, methods.UpdateTopic, ({ name }) => ({
      status,
      topic: { name },
      created: true,
    }));
    return handlers;
  }
}

describe("mqadmin about elections", function () {
  this.timeout(60_000);
  let group: ElectedGroup;
  let others: cometmq.v1.IRegisteredBroker[] = [];
  let nameServer = "";

  beforeEach(async () => {
    group = new ElectedGroup("broker-a");
    others = [];
    await group.start();
    const handlers: Handlers = new Map();
    answering(handlers, nameServerService.methods.ClusterList, () => ({
      status,
      brokers: [...group.listed(), ...others],
    }));
    nameServer = await serve(handlers);
  });
  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close({ graceMs: 0 })));
  });

  function typed(...args: string[]): Promise<Outcome> {
    return mqadmin(...args, "-n", nameServer);
  }

  it("getSyncStateSet shows who rules and who may be elected", async () => {
    for (const where of [[], ["-a", group.addresses[2] ?? ""], ["-c", "c"], ["-b", "broker-a"]]) {
      const { code, stdout, stderr } = await typed("getSyncStateSet", ...where);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /broker-a: ruled by id 1, epoch 7/);
      assert.match(stdout, /broker-a +1 +\S+ +master +yes +yes +1000/);
      assert.match(stdout, /broker-a +3 +\S+ +slave +NO +NO +998/);
    }
  });

  it("getSyncStateSet finds another group than that of the broker that is named", async () => {
    const other = new ElectedGroup("broker-b");
    await other.start();
    others = other.listed();
    const args = ["-a", group.addresses[0] ?? "", "-b", "broker-b", "--json"];
    const { stdout } = await typed("getSyncStateSet", ...args);
    const found = JSON.parse(stdout) as { brokerName: string }[];
    assert.deepEqual(
      found.map(({ brokerName }) => brokerName),
      ["broker-b"],
    );
  });

  it("getSyncStateSet asks the next broker when one does not answer", async () => {
    await servers[0]?.close({ graceMs: 0 });
    const { code, stdout, stderr } = await typed("getSyncStateSet", "--timeout", "2000");
    assert.equal(code, 0, stderr);
    assert.match(stdout, /ruled by id 1/);
  });

  it("getSyncStateSet says loudly that nobody rules", async () => {
    group.masterId = 0;
    assert.match((await typed("getSyncStateSet")).stdout, /broker-a: NOBODY RULES/);
  });

  it("getControllerMetaData shows the etcd members", async () => {
    for (const where of [[], ["-a", group.addresses[1] ?? ""]]) {
      const { stdout, stderr } = await typed("getControllerMetaData", ...where);
      assert.match(stdout, /leader: e1:2379/, stderr);
      assert.match(stdout, /lease of a master: 2 s/);
      assert.match(stdout, /e2:2379 .* NO: timed out/);
    }
  });

  it("electMaster asks the master, whichever broker it was given", async () => {
    for (const where of [[], ["-a", group.addresses[2] ?? ""], ["-c", "c"]]) {
      group.masterId = 1;
      group.elected.length = 0;
      const { code, stdout, stderr } = await typed(
        "electMaster",
        "-b",
        "2",
        "-bn",
        "broker-a",
        ...where,
      );
      assert.equal(code, 0, stderr);
      assert.deepEqual(group.elected, ["1: broker-a 2"]);
      assert.match(stdout, /broker-a: id 2 rules in epoch 8, before it was id 1; it took 321 ms/);
    }
  });

  it("electMaster finds the master through NameServers when its address is not known", async () => {
    group.addressesKnown = false;
    const { code, stderr } = await typed("electMaster", "-b", "2", "-bn", "broker-a");
    assert.equal(code, 0, stderr);
    assert.deepEqual(group.elected, ["1: broker-a 2"]);
  });

  it("electMaster passes on a refusal, and asks nobody when nobody rules", async () => {
    const refused = await typed("electMaster", "-b", "3", "-bn", "broker-a");
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /broker 3 is not in sync \(40000\)/);
    group.masterId = 0;
    group.elected.length = 0;
    const orphaned = await typed("electMaster", "-b", "2", "-bn", "broker-a");
    assert.equal(orphaned.code, 1);
    assert.match(orphaned.stderr, /nobody rules broker-a now.*getSyncStateSet -b broker-a/);
    assert.deepEqual(group.elected, []);
  });

  it("clusterList shows roles, who is in sync and what each is behind", async () => {
    const { stdout, stderr } = await typed("clusterList");
    assert.match(stdout, /broker-a +1 +master +yes +0 /, stderr);
    assert.match(stdout, /broker-a +2 +slave +yes +500 /);
    assert.match(stdout, /broker-a +3 +slave +NO +500 /);
  });

  it("haStatus shows both ends of each link", async () => {
    const { stdout, stderr } = await typed("haStatus", "-c", "c");
    assert.match(stdout, /broker-a id 1 at \S+: master, epoch 7/, stderr);
    assert.match(
      stdout,
      /copies id 1 at m1:1, linked since .*, behind by 500 bytes, 3 messages, 20 ms/,
    );
    assert.match(stdout, /copies id 1 at m1:1, NO LINK: refused/);
    assert.match(stdout, /broker-a +2 +s2:1 +yes +500/);
    assert.match(stdout, /broker-a +3 +s3:1 +NO .*NOT CONNECTED/);
  });

  it("a change goes to elected masters, the newest where NameServers differ, and names groups without one", async () => {
    const [stale] = group.listed();
    others = [
      // A NameServer that has missed the election still lists the old master.
      {
        ...stale,
        brokerId: 3,
        duty: duty.master,
        version: { epoch: 6, counter: 9 },
        address: { host: "127.0.0.1", port: 1 },
      },
      { ...stale, brokerName: "broker-b", brokerId: 2, duty: duty.acting },
    ];
    const { code, stdout, stderr } = await typed("updateTopic", "-c", "c", "-t", "t");
    assert.equal(code, 1);
    assert.match(stdout, /topic t created on broker-a/);
    assert.match(stderr, /not done on 1 of 2 masters:\n {2}broker-b: has no master now/);
  });
});
