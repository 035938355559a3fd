// The operators' calls about replication and election, on a port that says what a test wants.
import assert from "node:assert/strict";
import { brokerAdminService, type cometmq } from "@cometmq/proto";
import { brokerRole, Configuration, MqError, silentLogger } from "../../../base/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import { ClientTable } from "../../clients/index.ts";
import { ManualClock, TestStream } from "../testkit/index.ts";
import { Traffic } from "../traffic.ts";
import type { AdminContext } from "./admin-context.ts";
import { brokerAdminMethods } from "./admin-methods.ts";
import type { HaPort, HaStatus, SyncState } from "./ha-port.ts";

const { methods } = brokerAdminService;
const ok = 20_000;

const masterStatus: HaStatus = {
  standing: "master",
  reason: "",
  epoch: 7,
  logStart: 100,
  logEnd: 5_000,
  logConfirmed: 4_000,
  slaves: [
    {
      brokerId: 1,
      address: "10.0.0.2:8081",
      isInSync: true,
      writtenPosition: 4_500,
      flushedPosition: 4_000,
      lag: { bytes: 500, messages: 3, ms: 20 },
      connectedSinceMs: 1_700_000_000_000,
      bytesPerSecond: 1_000.5,
    },
    {
      brokerId: 2,
      address: "10.0.0.3:8081",
      isInSync: false,
      writtenPosition: 0,
      flushedPosition: 0,
      lag: { bytes: 0, messages: 0, ms: 0 },
      connectedSinceMs: undefined,
      bytesPerSecond: 0,
    },
  ],
  master: undefined,
};

const slaveStatus: HaStatus = {
  ...masterStatus,
  standing: "acting",
  slaves: [],
  master: {
    brokerId: 0,
    address: "10.0.0.1:8081",
    connectedSinceMs: undefined,
    reason: "connection refused",
    endPosition: 6_000,
    lag: { bytes: 1_000, messages: 5, ms: 1_234 },
  },
};

const group: SyncState = {
  brokerName: "broker-a",
  masterId: 1,
  epoch: 7,
  inSyncIds: [1, 2],
  members: [
    { brokerId: 1, address: "10.0.0.1:8081", isAlive: true, logEnd: 5_000 },
    { brokerId: 2, address: "10.0.0.2:8081", isAlive: true, logEnd: 4_900 },
    { brokerId: 3, address: "10.0.0.3:8081", isAlive: true, logEnd: 10 },
    { brokerId: 4, address: "10.0.0.4:8081", isAlive: false, logEnd: undefined },
  ],
};

/** Says what it is given, and notes who was elected. */
class FakeHa implements HaPort {
  readonly elected: number[] = [];
  refusal: MqError | undefined;
  #sync: SyncState | undefined;
  readonly #status: HaStatus;

  constructor(status: HaStatus, sync?: SyncState) {
    this.#status = status;
    this.#sync = sync;
  }
  status(): HaStatus {
    return this.#status;
  }
  syncState(): SyncState | undefined {
    return this.#sync;
  }
  async controller(): ReturnType<HaPort["controller"]> {
    const reached = { name: "etcd-1", version: "3.5.16", databaseBytes: 20_480, reason: "" };
    const lost = { name: "", version: "", databaseBytes: 0, reason: "timed out" };
    return {
      leaseSeconds: 2,
      members: [
        { address: "10.0.0.1:2379", isReachable: true, isLeader: true, ...reached },
        { address: "10.0.0.2:2379", isReachable: false, isLeader: false, ...lost },
      ],
    };
  }
  async handOver(brokerId: number): Promise<void> {
    if (this.refusal !== undefined) throw this.refusal;
    this.elected.push(brokerId);
    if (this.#sync !== undefined) this.#sync = { ...this.#sync, masterId: brokerId, epoch: 8 };
  }
}

function handlers(ha?: HaPort): ReadonlyMap<string, MethodHandler> {
  const clock = new ManualClock();
  const never = (): never => assert.fail("not asked for");
  const clients = new ClientTable({ clock, logger: silentLogger, onGone: never });
  const parts: Pick<AdminContext, "config" | "clients" | "clock" | "logger" | "traffic"> = {
    config: Configuration.load(brokerRole, { flags: { brokerName: "broker-a" } }),
    clients,
    clock,
    logger: silentLogger,
    traffic: new Traffic(),
  };
  // Only what these calls touch is there.
  const context = {
    ...parts,
    ...(ha === undefined ? {} : { ha }),
    store: { start: 0, end: 300, confirmed: 200, epoch: 3 },
    metadata: { topicCount: 2, groupCount: 1 },
    brokerStatus: () => ({
      softwareVersion: "1",
      startedAtMs: clock.now(),
      connections: 0,
      putTps: 0,
      getTps: 0,
      rssBytes: 0,
      nameServers: {},
      diskUsageRatio: 0.5,
      delayedMessages: 7,
    }),
  } as unknown as AdminContext;
  return brokerAdminMethods(context);
}

async function ask<Request, Response>(
  ha: HaPort | undefined,
  method: {
    readonly path: string;
    readonly request: { encode(value: Request): Uint8Array };
    readonly response: { decode(bytes: Uint8Array): Response };
  },
  request: Request,
): Promise<Response> {
  const handler = handlers(ha).get(method.path);
  assert.equal(handler?.kind, "unary");
  if (handler?.kind !== "unary") throw new Error("not unary");
  const bytes = await handler.handle(method.request.encode(request), new TestStream());
  return method.response.decode(bytes);
}

describe("GetHaStatus", () => {
  it("says of a broker without replication that it is a master on its own", async () => {
    const { status, ha } = await ask(undefined, methods.GetHaStatus, {});
    assert.equal(status?.code, ok);
    assert.deepEqual(
      [ha?.standing, ha?.epoch, ha?.logEndPosition, ha?.logConfirmedPosition, ha?.elected],
      ["master", 3, 300, 200, false],
    );
    assert.deepEqual(ha?.slaves, []);
    assert.equal(ha?.brokerName, "broker-a");
  });

  it("gives a row for each slave, connected or not", async () => {
    const { ha } = await ask(new FakeHa(masterStatus), methods.GetHaStatus, {});
    const [first, second] = ha?.slaves ?? [];
    assert.equal(first?.brokerId, 1);
    assert.equal(first?.inSync, true);
    assert.equal(first?.connected, true);
    assert.equal(first?.writtenPosition, 4_500);
    assert.equal(first?.flushedPosition, 4_000);
    assert.deepEqual([first?.lagBytes, first?.lagMessages, first?.lagMs], [500, 3, 20]);
    assert.equal(first?.bytesPerSecond, 1_000.5);
    assert.deepEqual(
      [second?.connected, second?.inSync, second?.connectedSinceMs],
      [false, false, 0],
    );
  });

  it("says why a slave has no link, and what it is behind", async () => {
    const { ha } = await ask(new FakeHa(slaveStatus), methods.GetHaStatus, {});
    assert.equal(ha?.standing, "acting");
    assert.equal(ha?.master?.connected, false);
    assert.equal(ha?.master?.reason, "connection refused");
    assert.deepEqual(
      [ha?.master?.lagBytes, ha?.master?.lagMessages, ha?.master?.lagMs],
      [1_000, 5, 1_234],
    );
  });
});

describe("GetBrokerStatus", () => {
  async function rows(ha?: HaPort): Promise<Readonly<Record<string, string>>> {
    const answer: cometmq.v1.GetBrokerStatusResponse = await ask(ha, methods.GetBrokerStatus, {});
    assert.equal(answer.status?.code, ok);
    return Object.fromEntries(answer.rows.map((row) => [row.name, row.value]));
  }

  it("has the role and a row a slave", async () => {
    const master = await rows(new FakeHa(masterStatus));
    assert.equal(master["role"], "master");
    assert.equal(master["epoch"], "7");
    assert.equal(master["slaves"], "2 known, 1 in sync");
    assert.match(master["slave 1"] ?? "", /in sync, behind 500 bytes, 3 messages, 20 ms/);
    assert.match(master["slave 2"] ?? "", /not connected, not in sync/);
  });

  it("has the master and the lag of a slave", async () => {
    const acting = await rows(new FakeHa(slaveStatus));
    assert.equal(acting["role"], "acting");
    assert.match(acting["master 0"] ?? "", /10\.0\.0\.1:8081, no link: connection refused/);
    assert.match(acting["replicationLag"] ?? "", /1000 bytes, 5 messages, 1234 ms/);
  });

  it("of a lone master has no slaves", async () => {
    const lone = await rows();
    assert.equal(lone["delayedMessages"], "7");
    assert.deepEqual([lone["role"], lone["slaves"]], ["master", "0 known, 0 in sync"]);
  });

  it("says why a broker is neither master nor slave", async () => {
    const waiting: HaStatus = { ...masterStatus, standing: "none", reason: "no lease", slaves: [] };
    const none = await rows(new FakeHa(waiting));
    assert.deepEqual([none["role"], none["roleReason"]], ["none", "no lease"]);
  });
});

describe("GetSyncState", () => {
  it("marks who is in sync", async () => {
    const { syncState } = await ask(new FakeHa(masterStatus, group), methods.GetSyncState, {});
    assert.deepEqual(
      [syncState?.brokerName, syncState?.masterId, syncState?.epoch],
      ["broker-a", 1, 7],
    );
    assert.deepEqual(
      syncState?.members.map((member) => [member.brokerId, member.inSync, member.alive]),
      [
        [1, true, true],
        [2, true, true],
        [3, false, true],
        [4, false, false],
      ],
    );
  });

  it("says that nobody rules with id 0", async () => {
    const orphaned = { ...group, masterId: undefined };
    const { syncState } = await ask(new FakeHa(masterStatus, orphaned), methods.GetSyncState, {});
    assert.equal(syncState?.masterId, 0);
  });

  it("is refused where roles are fixed, with and without replication", async () => {
    for (const ha of [undefined, new FakeHa(masterStatus)]) {
      for (const method of [methods.GetSyncState, methods.GetControllerState]) {
        const { status } = await ask<
          object,
          { status?: { code?: number; message?: string } | null }
        >(ha, method, {});
        assert.equal(status?.code, new MqError("UNSUPPORTED", "").status);
        assert.match(status?.message ?? "", /enableControllerMode is off/);
      }
    }
  });
});

describe("GetControllerState", () => {
  it("gives each member, the unreachable with the reason", async () => {
    const ha = new FakeHa(masterStatus, group);
    const { members, leaseSeconds } = await ask(ha, methods.GetControllerState, {});
    assert.equal(leaseSeconds, 2);
    const [leader, lost] = members;
    assert.deepEqual(
      [leader?.leader, leader?.version, leader?.databaseBytes],
      [true, "3.5.16", 20_480],
    );
    assert.deepEqual([lost?.reachable, lost?.reason], [false, "timed out"]);
  });
});

describe("ElectMaster", () => {
  async function elect(ha: FakeHa, brokerId: number, brokerName = "broker-a") {
    return await ask(ha, methods.ElectMaster, { brokerName, brokerId });
  }

  it("hands over and answers with the state after it", async () => {
    const ha = new FakeHa(masterStatus, group);
    const { status, syncState } = await elect(ha, 2);
    assert.equal(status?.code, ok, status?.message);
    assert.deepEqual(ha.elected, [2]);
    assert.deepEqual([syncState?.masterId, syncState?.epoch], [2, 8]);
  });

  it("leaves a master that rules already where it is", async () => {
    const ha = new FakeHa(masterStatus, group);
    const { status } = await elect(ha, 1);
    assert.equal(status?.code, ok);
    assert.deepEqual(ha.elected, []);
  });

  it("refuses before anything moves, and says why", async () => {
    const refusals: readonly (readonly [number, string, RegExp])[] = [
      [9, "broker-a", /no broker with brokerId 9; it has: 1, 2, 3, 4/],
      [3, "broker-a", /broker 3 .* not in sync .* in sync: 1, 2/],
      [4, "broker-a", /broker 4 .* does not live/],
      [2, "broker-b", /belongs to broker-a, not to broker-b/],
    ];
    for (const [brokerId, brokerName, pattern] of refusals) {
      const ha = new FakeHa(masterStatus, group);
      const { status } = await elect(ha, brokerId, brokerName);
      assert.notEqual(status?.code, ok);
      assert.match(status?.message ?? "", pattern);
      assert.deepEqual(ha.elected, []);
    }
  });

  it("passes on why the hand-over failed", async () => {
    const ha = new FakeHa(masterStatus, group);
    ha.refusal = new MqError("NOT_MASTER", "broker 1 has just lost its lease");
    const { status } = await elect(ha, 2);
    assert.equal(status?.code, ha.refusal.status);
    assert.match(status?.message ?? "", /lost its lease/);
  });

  it("is refused where roles are fixed", async () => {
    const ha = new FakeHa(masterStatus);
    const { status } = await elect(ha, 1);
    assert.match(status?.message ?? "", /fixed/);
    assert.deepEqual(ha.elected, []);
  });
});
