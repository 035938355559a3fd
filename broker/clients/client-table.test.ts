import assert from "node:assert/strict";
import { type CancelTimer, type Clock, limits, MqError, silentLogger } from "../../base/index.ts";
import type { ClientConnection } from "./client.ts";
import { ClientTable } from "./client-table.ts";
import type { ClientIdentity } from "./identity.ts";

/** A clock whose only timer is the table's sweep. */
class SweepClock implements Clock {
  ms = 1_000_000;
  #tasks = new Set<() => void>();
  now(): number {
    return this.ms;
  }
  monotonicMs(): number {
    return this.ms;
  }
  after(): CancelTimer {
    throw new Error("not used");
  }
  every(_periodMs: number, task: () => void): CancelTimer {
    this.#tasks.add(task);
    return () => this.#tasks.delete(task);
  }
  pass(ms: number): void {
    this.ms += ms;
    for (const task of this.#tasks) task();
  }
}

let connectionCount = 0;

function openConnection(): { connection: ClientConnection; close: () => void } {
  const controller = new AbortController();
  const connection: ClientConnection = {
    id: ++connectionCount,
    remoteAddress: "10.1.2.3",
    remotePort: 4000 + connectionCount,
    closed: controller.signal,
  };
  return { connection, close: () => controller.abort() };
}

function identity(id: string): ClientIdentity {
  return { id, language: "JAVA", version: "5.2.0" };
}

const subscription = { topic: "t", filterType: 1, expression: "*" };

describe("ClientTable", () => {
  let clock: SweepClock;
  let gone: string[];
  let table: ClientTable;

  beforeEach(() => {
    clock = new SweepClock();
    gone = [];
    table = new ClientTable({
      clock,
      logger: silentLogger,
      onGone: (clientId, group) => gone.push(`${clientId} ${group}`),
    });
    table.start();
  });

  afterEach(() => table.close());

  it("takes the queues from a consumer that goes, falls silent or leaves a topic", () => {
    const { shares } = table;
    const question = { group: "g", topic: "t", clientId: "c" };
    const role = { pollingMs: undefined, requestTimeoutMs: undefined };
    const takeAll = (): void => {
      shares.take(question, [{ brokerName: "b", queueId: 0 }]);
      assert.equal(shares.of("g", "c").length, 1);
    };
    const { connection } = openConnection();
    const settle = (subscriptions: readonly (typeof subscription)[]): void =>
      table.settle(
        identity("c"),
        { kind: "consumer", type: 4, group: "g", subscriptions, ...role },
        connection,
      );
    settle([subscription]);
    takeAll();
    settle([{ ...subscription, topic: "u" }]);
    assert.deepEqual(shares.of("g", "c"), []);
    takeAll();
    table.terminate("c", connection);
    assert.deepEqual(shares.of("g", "c"), []);
    takeAll();
    clock.pass(limits.pullMemberSilenceMs + 1);
    assert.deepEqual(shares.of("g", "c"), []);
  });

  it("lists consumers of a group and producers of a topic", () => {
    const { connection } = openConnection();
    const role = { pollingMs: undefined, requestTimeoutMs: undefined };
    table.settle(
      identity("c"),
      { kind: "consumer", type: 2, group: "g", subscriptions: [subscription], ...role },
      connection,
    );
    table.settle(identity("p"), { kind: "producer", type: 1, topics: ["t", "u"] }, connection);
    const [row, ...others] = table.consumers("g");
    assert.equal(others.length, 0);
    assert.equal(row?.clientId, "c");
    assert.equal(row?.address, `10.1.2.3:${connection.remotePort}`);
    assert.equal(row?.language, "JAVA");
    assert.deepEqual(row?.subscriptions, [subscription]);
    assert.deepEqual(
      table.producers("u").map((producer) => producer.clientId),
      ["p"],
    );
    assert.equal(table.producers().length, 1);
    assert.deepEqual(table.producers("v"), []);
    assert.deepEqual(table.consumers("other"), []);
    assert.deepEqual(table.tally(), { producers: 1, consumers: new Map([["g", 1]]) });
  });

  it("knows a consumer by its receives alone", () => {
    const { connection } = openConnection();
    const client = table.seen(identity("c"), connection);
    table.consuming(client, "g", subscription);
    table.consuming(client, "g", { ...subscription, expression: "a" });
    assert.deepEqual(table.consumers("g")[0]?.subscriptions, [
      { ...subscription, expression: "a" },
    ]);
    assert.equal(table.consumers("g")[0]?.type, 3);
  });

  it("takes a heartbeat without settings, and refuses an unknown type", () => {
    const { connection } = openConnection();
    table.heartbeat(identity("c"), connection, { type: 2, group: "g" });
    assert.equal(table.consumers("g").length, 1);
    assert.throws(
      () => table.heartbeat(identity("d"), connection, { type: 0, group: "" }),
      (error: unknown) => error instanceof MqError && error.code === "UNRECOGNIZED_CLIENT_TYPE",
    );
  });

  it("forgets a client a while after its last connection closed", () => {
    const first = openConnection();
    const second = openConnection();
    const client = table.seen(identity("c"), first.connection);
    table.seen(identity("c"), second.connection);
    table.consuming(client, "g", subscription);
    first.close();
    clock.pass(limits.clientReconnectGraceMs + 1);
    assert.deepEqual(gone, []);
    second.close();
    clock.pass(limits.clientReconnectGraceMs);
    assert.deepEqual(gone, []);
    clock.pass(1);
    assert.deepEqual(gone, ["c g"]);
    assert.equal(table.count, 0);
  });

  it("keeps a client that comes back in time", () => {
    const first = openConnection();
    table.consuming(table.seen(identity("c"), first.connection), "g", subscription);
    first.close();
    clock.pass(limits.clientReconnectGraceMs - 1);
    table.heartbeat(identity("c"), openConnection().connection, { type: 2, group: "g" });
    clock.pass(limits.clientReconnectGraceMs);
    assert.deepEqual(gone, []);
  });

  it("forgets a silent client and ends its telemetry streams", () => {
    const { connection } = openConnection();
    let ended = 0;
    table.openSession(
      { identity: identity("c"), tell: () => true, end: () => ended++ },
      connection,
    );
    table.heartbeat(identity("c"), connection, { type: 2, group: "g" });
    clock.pass(limits.clientSilenceMaxMs);
    assert.deepEqual(gone, []);
    clock.pass(1);
    assert.deepEqual(gone, ["c g"]);
    assert.equal(ended, 1);
  });

  it("keeps a client while one of two streams with its id ends", () => {
    const one = openConnection();
    const two = openConnection();
    const first = { identity: identity("c"), tell: () => true, end: () => {} };
    table.openSession(first, one.connection);
    table.openSession({ identity: identity("c"), tell: () => true, end: () => {} }, two.connection);
    table.closeSession(first);
    one.close();
    clock.pass(limits.clientReconnectGraceMs + 1);
    assert.equal(table.count, 1);
    assert.equal(table.get("c")?.sessions.size, 1);
  });

  it("forgets a client that says goodbye, and knows its late requests", () => {
    const { connection } = openConnection();
    table.openSession(
      { identity: identity("c"), tell: () => true, end: () => assert.fail("ended") },
      connection,
    );
    table.heartbeat(identity("c"), connection, { type: 2, group: "g" });
    table.terminate("c", connection);
    assert.deepEqual(gone, ["c g"]);
    assert.equal(table.isTerminated("c", connection), true);
    assert.equal(table.isTerminated("c", openConnection().connection), false);
    clock.pass(limits.clientReconnectGraceMs);
    assert.equal(table.isTerminated("c", connection), false);
  });

  it("takes a client anew that sends settings after its goodbye", () => {
    const { connection } = openConnection();
    table.terminate("c", connection);
    table.settle(identity("c"), { kind: "producer", type: 1, topics: [] }, connection);
    assert.equal(table.isTerminated("c", connection), false);
  });

  it("refuses more clients, and more subscriptions of one, than it may hold", () => {
    const { connection } = openConnection();
    for (let count = 0; count < limits.clientCountMax; count++) {
      table.seen(identity(`c${count}`), connection);
    }
    assert.throws(() => table.seen(identity("more"), connection), { code: "TOO_MANY_REQUESTS" });
    const client = table.seen(identity("c0"), connection);
    for (let count = 0; count < limits.clientTopicCountMax; count++) {
      table.consuming(client, "g", { ...subscription, topic: `t${count}` });
    }
    const more = { ...subscription, topic: "more" };
    assert.throws(() => table.consuming(client, "g", more), { code: "BAD_REQUEST" });
  });
});
