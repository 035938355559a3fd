// The operators' calls that set offsets, over a delivery that has something pending.
import assert from "node:assert/strict";
import { brokerAdminService, Code, type cometmq } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { names, Scene } from "../../delivery/testkit/scene.ts";
import { TestBroker, TestStream } from "../testkit/index.ts";
import type { AdminContext } from "./admin-context.ts";
import { brokerAdminMethods } from "./admin-methods.ts";

const { methods } = brokerAdminService;
const topic = "t";
const group = "g";

describe("offsets that operators set", () => {
  let broker: TestBroker;
  let scene: Scene;
  let handlers: ReadonlyMap<string, MethodHandler>;

  beforeEach(async () => {
    broker = new TestBroker();
    scene = await Scene.open({ topic: { readQueueNums: 2, writeQueueNums: 2 } });
    const { metadata, delivery, store } = scene;
    broker.local = { ...broker.parts, metadata, delivery };
    const context = {
      ...broker.context,
      metadata,
      delivery,
      store,
      index: undefined,
      brokerStatus: () => assert.fail("nobody asks"),
    } as unknown as AdminContext;
    handlers = brokerAdminMethods(context);
    for (let i = 0; i < 5; i++) scene.store.send(topic, 0);
    await scene.clock.pass(1_000);
    for (let i = 0; i < 5; i++) scene.store.send(topic, 1);
    await scene.clock.pass(1_000);
  });

  async function call(path: string, bytes: Uint8Array): Promise<Uint8Array> {
    const method = handlers.get(path);
    assert.ok(method?.kind === "unary");
    return await method.handle(bytes, new TestStream());
  }

  async function reset(
    wish: cometmq.v1.IResetGroupOffsetRequest,
  ): Promise<cometmq.v1.ResetGroupOffsetResponse> {
    const { path, request, response } = methods.ResetGroupOffset;
    return response.decode(await call(path, request.encode({ group, topic, ...wish })));
  }

  async function clone(
    wish: cometmq.v1.ICloneGroupOffsetRequest,
  ): Promise<cometmq.v1.CloneGroupOffsetResponse> {
    const { path, request, response } = methods.CloneGroupOffset;
    const all = { sourceGroup: group, targetGroup: "h", topic, ...wish };
    return response.decode(await call(path, request.encode(all)));
  }

  /** `queue: before > after, dropped`, in the order of the answer. */
  function told({ queues }: { readonly queues: readonly cometmq.v1.OffsetChange[] }): string[] {
    return queues.map(
      ({ queueId, before, after, dropped, changed }) =>
        `${queueId}: ${before ?? "none"} > ${after}, ${dropped}${changed ? "" : " unchanged"}`,
    );
  }

  it("go to a moment, on all queues", async () => {
    const given = await scene.receive({ countMax: 7 });
    const timeMs = scene.clock.now() - 1_500;
    const answer = await reset({ timeMs });
    assert.equal(answer.status?.code, Code.OK, answer.status?.message);
    assert.deepEqual(told(answer), ["0: 5 > 5, 5", "1: 2 > 0, 2"]);
    assert.ok(given.every((message) => scene.ack(message) === "invalid"));
    assert.deepEqual(names(await scene.receive()), ["1:0", "1:1", "1:2", "1:3", "1:4"]);
  });

  it("go to an offset of one queue, and to the end", async () => {
    assert.deepEqual(told(await reset({ queueId: 1, offset: 3 })), ["1: none > 3, 0"]);
    assert.deepEqual(told(await reset({ end: true })), ["0: none > 5, 0", "1: 3 > 5, 0"]);
    assert.deepEqual(await scene.receive(), []);
  });

  it("go back only, when that is wanted", async () => {
    await reset({ queueId: 0, offset: 2 });
    await reset({ queueId: 1, offset: 4 });
    assert.deepEqual(told(await reset({ offset: 3, onlyBack: true })), [
      "0: 2 > 2, 0 unchanged",
      "1: 4 > 3, 0",
    ]);
  });

  it("are those of another group, from what that has not acknowledged on", async () => {
    const given = await scene.receive({ countMax: 8 });
    for (const message of given) if (message.queueOffset !== 1) scene.ack(message);
    const answer = await clone({});
    assert.equal(answer.status?.code, Code.OK, answer.status?.message);
    assert.deepEqual(told(answer), ["0: none > 1, 0", "1: none > 1, 0"]);
    assert.ok(scene.metadata.group("h") !== undefined);
    assert.equal(scene.delivery.offsets.get({ group: "h", topic, queueId: 0 }), 1);
    assert.equal(scene.delivery.progress(group)[0]?.pendingCount, 1, "the source stays as it is");
  });

  it("say what is wrong", async () => {
    const codes = await Promise.all(
      [
        reset({ group: "none" }),
        reset({ topic: "none", end: true }),
        reset({}),
        reset({ queueId: 2, end: true }),
        reset({ offset: 6 }),
        reset({ queueId: 0, offset: 6 }),
        reset({ offset: -1 }),
        clone({ sourceGroup: "none" }),
        clone({ targetGroup: "a b" }),
        clone({ targetGroup: group }),
        clone({}),
      ].map(async (answer) => (await answer).status?.code),
    );
    assert.deepEqual(codes, [
      Code.CONSUMER_GROUP_NOT_FOUND,
      Code.TOPIC_NOT_FOUND,
      Code.BAD_REQUEST,
      Code.BAD_REQUEST,
      Code.ILLEGAL_OFFSET,
      Code.ILLEGAL_OFFSET,
      Code.ILLEGAL_OFFSET,
      Code.CONSUMER_GROUP_NOT_FOUND,
      Code.ILLEGAL_CONSUMER_GROUP,
      Code.BAD_REQUEST,
      Code.OFFSET_NOT_FOUND,
    ]);
    assert.deepEqual(scene.delivery.progress(group), []);
  });

  it("wait for a master: HA_NOT_AVAILABLE elsewhere", async () => {
    assert.ok(broker.local !== undefined);
    broker.local = { ...broker.local, canSend: false };
    assert.equal((await reset({ end: true })).status?.code, Code.HA_NOT_AVAILABLE);
    assert.equal((await clone({})).status?.code, Code.HA_NOT_AVAILABLE);
    broker.local = undefined;
    broker.standing = { kind: "slave", epoch: 1, master: undefined };
    assert.equal((await reset({ end: true })).status?.code, Code.HA_NOT_AVAILABLE);
  });
});
