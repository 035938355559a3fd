import assert from "node:assert/strict";
import { Code, messagingService } from "@cometmq/proto";
import { limits } from "../../base/index.ts";
import { type CallOptions, TestBroker, TestStream } from "./testkit/index.ts";

const { methods } = messagingService;
const { path, request, response } = methods.QueryAssignment;
const bytes = request.encode({ topic: { name: "t" }, group: { name: "g" } });

describe("QueryAssignment of consumers that pull", () => {
  let broker: TestBroker;

  beforeEach(async () => {
    broker = new TestBroker();
    await broker.metadata.updateTopic({ name: "t", readQueueNums: 5, writeQueueNums: 8 });
  });

  /** Says that it pulls, by a heartbeat. */
  async function beat(id: string): Promise<void> {
    const { Heartbeat } = methods;
    const body = Heartbeat.request.encode({ group: { name: "g" }, clientType: 4 });
    const answer = await broker.unary(Heartbeat.path, body, { headers: { "x-mq-client-id": id } });
    assert.equal(Heartbeat.response.decode(answer).status?.code, Code.OK);
  }

  interface Share {
    readonly code: number;
    readonly ids: readonly number[];
  }

  async function ask(id: string, options: CallOptions = {}): Promise<Share> {
    const headers = { "x-mq-client-id": id, ...options.headers };
    if (id === "c") await beat(id);
    const { status, assignments } = response.decode(
      await broker.unary(path, bytes, { ...options, headers }),
    );
    return {
      code: status?.code ?? 0,
      ids: assignments.map(({ messageQueue }) => messageQueue?.id ?? -1),
    };
  }

  async function turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Lets the first wait be over. */
  async function settle<T>(asked: Promise<T>): Promise<T> {
    await turn();
    broker.clock.pass(limits.pullShareSettleMs);
    return await asked;
  }

  it("shares the readable queues out among those who ask, after a moment", async () => {
    await Promise.all([beat("a"), beat("b")]);
    const both = Promise.all([ask("b"), ask("a")]);
    let isOver = false;
    void both.then(() => (isOver = true));
    await turn();
    broker.clock.pass(limits.pullShareSettleMs - 1);
    await turn();
    assert.equal(isOver, false);
    broker.clock.pass(1);
    const [b, a] = await both;
    assert.deepEqual(a, { code: Code.OK, ids: [0, 1, 2] });
    assert.deepEqual(b, { code: Code.OK, ids: [3, 4] });
    assert.deepEqual(await ask("a"), a);
    assert.ok(broker.metadata.group("g") !== undefined);
  });

  it("gives all others what it gave them before: one entry for all queues", async () => {
    assert.deepEqual(await ask("push"), { code: Code.OK, ids: [-1] });
  });

  it("gives the queues of who has said goodbye to the others", async () => {
    await Promise.all([beat("a"), beat("b")]);
    await settle(Promise.all([ask("a"), ask("b")]));
    const { NotifyClientTermination } = methods;
    const goodbye = NotifyClientTermination.request.encode({ group: { name: "g" } });
    await broker.unary(NotifyClientTermination.path, goodbye, {
      headers: { "x-mq-client-id": "a" },
    });
    assert.deepEqual((await ask("b")).ids, [0, 1, 2, 3, 4]);
  });

  it("knows a consumer that pulls also by the word of the broker that passes its question on", async () => {
    const headers = { "x-cometmq-hop": "other", "x-cometmq-client-type": "4" };
    const told = await settle(ask("far", { headers }));
    assert.deepEqual(told.ids, [0, 1, 2, 3, 4]);
    // From a client itself the header says nothing.
    const own = await ask("near", { headers: { "x-cometmq-client-type": "4" } });
    assert.deepEqual(own.ids, [-1]);
  });

  it("goes by what a member says that it reads, as far as that can be read", async () => {
    await Promise.all([beat("a"), beat("b")]);
    const says = (reads: string): CallOptions => ({ headers: { "x-cometmq-reads": reads } });
    const first = await settle(Promise.all([ask("a", says("broker%2Da:3-4")), ask("b", says(""))]));
    // The other one reads 3 and 4, and is told to let go.
    assert.deepEqual(
      first.map(({ ids }) => ids),
      [[0, 1, 2], []],
    );
    for (const odd of ["broker-a", "broker-a:x", "broker-a:1-2-", "%:1", "x".repeat(9_000)]) {
      const { code, ids } = await ask("c", says(odd));
      assert.deepEqual([code, ids.length <= 2], [Code.OK, true], odd);
      broker.clients.shares.leave("c");
    }
    assert.deepEqual((await ask("a", says("other:3-4;broker-a:0-2"))).ids, [0, 1, 2]);
    assert.deepEqual((await ask("b", says(""))).ids, [3, 4]);
  });

  it("says HA_NOT_AVAILABLE to a call that has no time to wait for the others", async () => {
    await beat("a");
    const { code } = await ask("a", { remainingMs: limits.pullShareSettleMs });
    assert.equal(code, Code.HA_NOT_AVAILABLE);
  });

  it("gives nothing to a member whose call has ended meanwhile", async () => {
    await Promise.all([beat("a"), beat("b")]);
    const call = new TestStream({ headers: { "x-mq-client-id": "a" } });
    const method = broker.methods.get(path);
    assert.ok(method?.kind === "unary");
    const given = method.handle(bytes, call);
    const other = ask("b");
    await turn();
    call.controller.abort();
    broker.clock.pass(limits.pullShareSettleMs);
    assert.deepEqual(response.decode(await given).assignments, []);
    assert.deepEqual((await other).ids, [3, 4]);
    assert.deepEqual(broker.clients.shares.of("g", "a"), []);
  });

  it("checks the names as for all others", async () => {
    await beat("a");
    const codeOf = async (wish: Parameters<typeof request.encode>[0]): Promise<number> => {
      const headers = { "x-mq-client-id": "a" };
      const answer = await broker.unary(path, request.encode(wish), { headers });
      return response.decode(answer).status?.code ?? 0;
    };
    assert.equal(await codeOf({ group: { name: "g" } }), Code.ILLEGAL_TOPIC);
    assert.equal(await codeOf({ topic: { name: "t" } }), Code.ILLEGAL_CONSUMER_GROUP);
    await broker.metadata.updateTopic({ name: "t", perm: 2 });
    assert.equal(await codeOf({ topic: { name: "t" }, group: { name: "g" } }), Code.FORBIDDEN);
  });
});
