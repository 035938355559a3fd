// The operators' calls about lite topics: what they refuse, and what they say when messages are gone meanwhile. What they say
// of a real broker: test/e2e/mqadmin-lite.test.ts.
import assert from "node:assert/strict";
import { brokerAdminService, Code, type cometmq } from "@cometmq/proto";
import { limits } from "../../../base/index.ts";
import { TestBroker, TestStream } from "../testkit/index.ts";
import type { AdminContext } from "./admin-context.ts";
import { brokerAdminMethods } from "./admin-methods.ts";

const { GetLiteSummary, GetLiteParent, GetLiteTopic, GetLiteClient, GetLiteGroup } =
  brokerAdminService.methods;
const ofGroup = { topic: "sessions", group: "g" };

describe("the calls about lite topics", () => {
  let broker: TestBroker;
  let context: AdminContext;

  beforeEach(async () => {
    broker = new TestBroker();
    const { metadata } = broker;
    await metadata.updateTopic({ name: "sessions", messageType: "LITE" });
    await metadata.updateTopic({ name: "others", messageType: "LITE" });
    await metadata.updateTopic({ name: "plain" });
    await metadata.updateGroup({ name: "g", attributes: { "lite.bind.topic": "sessions" } });
    await metadata.updateGroup({ name: "unbound" });
    const one = { queueId: 0, endOffset: 9, nextOffset: 8, pending: 0, lag: 1, oldestOffset: 8 };
    const view = {
      standingsOf: () => [one],
      lagOf: async () => ({ lag: 1, pending: 0, byLag: [one], byAge: [[one]] }),
    };
    // Of a store without queues every message is gone.
    const store = { queue: () => undefined };
    const delivery = { progress: () => [], lite: { view } };
    context = { ...broker.context, metadata, store, delivery } as unknown as AdminContext;
  });

  interface Call<Request, Response> {
    readonly path: string;
    readonly request: { encode(value: Request): Uint8Array };
    readonly response: { decode(bytes: Uint8Array): Response };
  }

  async function ask<Request, Response>(
    { path, request, response }: Call<Request, Response>,
    wish: Request,
  ): Promise<Response> {
    const method = brokerAdminMethods(context).get(path);
    assert.ok(method?.kind === "unary");
    return response.decode(await method.handle(request.encode(wish), new TestStream()));
  }

  async function askGroup(
    wish: cometmq.v1.IGetLiteGroupRequest,
  ): Promise<cometmq.v1.GetLiteGroupResponse> {
    return await ask(GetLiteGroup, { ...ofGroup, ...wish });
  }

  it("are refused where no messages are served", async () => {
    broker.local = undefined;
    broker.standing = { kind: "none", epoch: 1, reason: "it is starting" };
    const client = { ...ofGroup, clientId: "c" };
    const answers = [
      await ask(GetLiteSummary, {}),
      await ask(GetLiteParent, { topic: "sessions" }),
      await ask(GetLiteTopic, { topic: "sessions", liteTopic: "a" }),
      await ask(GetLiteClient, client),
      await askGroup({}),
    ];
    for (const { status } of answers) {
      assert.equal(status?.code, Code.HA_NOT_AVAILABLE);
      assert.match(status?.message ?? "", /this broker serves no messages: it is starting/);
    }
  });

  it("are refused for topics and groups that have no lite topics", async () => {
    for (const [wish, code, message] of [
      [{ topic: "none" }, Code.TOPIC_NOT_FOUND, /none/],
      [{ topic: "plain" }, Code.BAD_REQUEST, /plain is of type NORMAL/],
      [{ group: "none" }, Code.CONSUMER_GROUP_NOT_FOUND, /none/],
      [{ group: "unbound" }, Code.BAD_REQUEST, /unbound has never subscribed to lite topics/],
      [{ topic: "others" }, Code.BAD_REQUEST, /lite topics of sessions .*, not of others/],
      [{ liteTopic: "x".repeat(65) }, Code.ILLEGAL_LITE_TOPIC, /65 bytes/],
    ] as const) {
      const { status } = await askGroup(wish);
      assert.equal(status?.code, code);
      assert.match(status?.message ?? "", message);
    }
  });

  it("are refused for more lite topics than may be asked for", async () => {
    const countMax = limits.liteLagsShownMax;
    assert.equal((await askGroup({ countMax })).status?.code, Code.OK);
    for (const wrong of [countMax + 1, -1]) {
      const { status } = await askGroup({ countMax: wrong });
      assert.equal(status?.code, Code.BAD_REQUEST);
      assert.match(status?.message ?? "", /1 to 100 are allowed/);
    }
  });

  it("leave out lite topics of which the message is gone that has the name", async () => {
    const { lag, byLag, byAge } = await askGroup({});
    assert.deepEqual([lag, byLag, byAge], [1, [], []]);
    const { places } = await askGroup({ liteTopic: "a" });
    assert.deepEqual(
      places.map(({ liteTopic, nextOffset, oldestMs }) => [liteTopic, nextOffset, oldestMs]),
      [["a", 8, 0]],
    );
  });
});
