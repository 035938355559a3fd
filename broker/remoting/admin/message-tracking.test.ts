// What operators learn of one message, and dead letters that a group gets again, over a delivery.
import assert from "node:assert/strict";
import { brokerAdminService, Code, cometmq, readMessageProperties, rocketmq } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { names, Scene } from "../../delivery/testkit/scene.ts";
import type { HeldEntry } from "../../metadata/index.ts";
import { RecordType } from "../../store/index.ts";
import { TestBroker, TestStream } from "../testkit/index.ts";
import type { AdminContext } from "./admin-context.ts";
import { brokerAdminMethods } from "./admin-methods.ts";

const { methods } = brokerAdminService;
const { DeliveryState, HoldState, ResendOutcome } = cometmq.v1;
const group = "g";

describe("messages that operators look for", () => {
  let broker: TestBroker;
  let scene: Scene;
  let handlers: ReadonlyMap<string, MethodHandler>;
  let held: HeldEntry[];

  beforeEach(async () => {
    broker = new TestBroker();
    held = [];
    scene = await Scene.open({ topic: { readQueueNums: 1, writeQueueNums: 1 } });
    await serve();
  });

  async function serve(): Promise<void> {
    const { metadata, delivery, store } = scene;
    broker.local = { ...broker.parts, metadata, delivery };
    const byId = async (topic: string, id: string) =>
      [0, 1]
        .flatMap((queueId) => store.queue(topic, queueId)?.items ?? [])
        .filter(({ record }) => readMessageProperties(record.systemProperties).messageId === id)
        .toReversed();
    const context = {
      ...broker.context,
      metadata,
      delivery,
      store,
      index: { byId, byKey: byId, indexedPosition: 0 },
      held: {
        find: async ({ id }: HeldEntry) => held.find((entry) => entry.id === id),
        page: async (kind: string) => ({
          entries: held.filter((entry) => entry.kind === kind),
          isLast: true,
        }),
      },
      brokerStatus: () => assert.fail("nobody asks"),
    } as unknown as AdminContext;
    handlers = brokerAdminMethods(context);
  }

  async function call(path: string, bytes: Uint8Array): Promise<Uint8Array> {
    const method = handlers.get(path);
    assert.ok(method?.kind === "unary");
    return await method.handle(bytes, new TestStream());
  }

  async function byId(messageId: string, deliveries?: cometmq.v1.IDeliveryQuestion) {
    const { path, request, response } = methods.QueryMessageById;
    const asked = { topic: "t", messageId, ...(deliveries === undefined ? {} : { deliveries }) };
    return response.decode(await call(path, request.encode(asked)));
  }

  async function deliveries(messageId: string, question: cometmq.v1.IDeliveryQuestion = {}) {
    const { messages, status } = await byId(messageId, question);
    assert.equal(status?.code, Code.OK, status?.message);
    return messages.flatMap((message) => message.deliveries);
  }

  async function resend(wish: cometmq.v1.IResendDeadLettersRequest = {}) {
    const { path, request, response } = methods.ResendDeadLetters;
    return response.decode(await call(path, request.encode({ group, ...wish })));
  }

  function outcomes({ messages }: cometmq.v1.ResendDeadLettersResponse): string[] {
    return messages.map(({ messageId, outcome }) => `${messageId} ${ResendOutcome[outcome]}`);
  }

  /** The group gives up on all that waits. */
  async function bury(): Promise<void> {
    for (const { receiptHandle } of await scene.receive()) {
      const request = { group, topic: "t", receiptHandle, messageId: "" };
      assert.equal(await scene.delivery.deadLetter(request), "ok");
    }
  }

  it("tell where groups stand only when asked, and of one group or all", async () => {
    await scene.metadata.updateGroup({ name: "h" });
    scene.store.send("t", 0, { id: "m" });
    await scene.receive({ clientId: "c9", invisibleMs: 5_000 });
    for (const message of await scene.receive({ group: "h" })) scene.ack(message, "h");
    assert.deepEqual((await byId("m")).messages[0]?.deliveries, []);
    const [ofG, ofH] = await deliveries("m");
    assert.deepEqual([ofG?.state, ofG?.clientId], [DeliveryState.INVISIBLE, "c9"]);
    assert.equal(ofG?.visibleAtMs, scene.clock.now() + 5_000);
    assert.deepEqual([ofH?.group, ofH?.state], ["h", DeliveryState.DONE]);
    assert.deepEqual(
      (await deliveries("m", { group: "h" })).map((one) => one.group),
      ["h"],
    );
  });

  it("are found in the dead-letter topic, and say where", async () => {
    scene.store.send("t", 0, { id: "other" });
    scene.store.send("t", 0, { id: "m" });
    await bury();
    const [delivery] = await deliveries("m");
    assert.equal(delivery?.state, DeliveryState.DEAD_LETTER);
    assert.equal(delivery?.deadLetterOffset, 1);
    await resend();
    assert.equal((await deliveries("m"))[0]?.state, DeliveryState.VISIBLE_AGAIN);
    for (const message of await scene.receive()) scene.ack(message);
    assert.equal((await deliveries("m"))[0]?.state, DeliveryState.DONE);
  });

  it("were passed by when no consumer that is there takes them", async () => {
    scene.store.send("t", 0, { id: "m", tag: "blue" });
    for (const message of await scene.receive()) scene.ack(message);
    assert.equal((await deliveries("m"))[0]?.state, DeliveryState.DONE);
    subscribe("red");
    assert.equal((await deliveries("m"))[0]?.state, DeliveryState.FILTERED);
    subscribe("red || blue");
    assert.equal((await deliveries("m"))[0]?.state, DeliveryState.DONE);
  });

  /** Stores a message that is held, in a queue that nobody reads. Gives its position. */
  function hold(id: string, type: number, dueMs: number): number {
    const systemProperties = rocketmq.v2.SystemProperties.encode({ messageId: id }).finish();
    const [userProperties, body] = [new Uint8Array(), new Uint8Array()];
    const queue = scene.store.ensureQueue("t", 1);
    scene.store.put({
      type,
      topic: "t",
      queueId: 1,
      systemProperties,
      userProperties,
      body,
      dueMs,
    });
    return queue.items.at(-1)?.position ?? 0;
  }

  function holds({ messages }: cometmq.v1.QueryMessagesResponse): (string | null)[] {
    return messages.map(
      ({ hold }) => hold && `${HoldState[hold.state]} ${hold.dueMs} ${hold.checkCount}`,
    );
  }

  it("are delayed until their time, also when they were carried on in the log", async () => {
    const id = hold("m", RecordType.delayedMessage, 77_000);
    const timer = { kind: "timer", topic: "t", id, dueMs: 77_000, size: 1, count: 0 } as const;
    held = [{ ...timer, position: id }];
    assert.deepEqual(holds(await byId("m")), ["DELAYED 77000 0"]);
    assert.deepEqual((await byId("m", {})).messages[0]?.deliveries, []);
    const position = hold("m", RecordType.carriedMessage, 77_000);
    held = [{ ...timer, position }];
    const carried = await byId("m");
    assert.deepEqual(holds(carried), ["DELAYED 77000 0"]);
    assert.equal(carried.messages[0]?.position, position);
  });

  it("are half while their transactions are open", async () => {
    const id = hold("m", RecordType.halfMessage, 6_000);
    held = [{ kind: "half", topic: "t", id, dueMs: 36_000, position: id, size: 1, count: 2 }];
    assert.deepEqual(holds(await byId("m")), ["HALF 36000 2"]);
  });

  it("have ended when they are held no more, unless they have come into a queue", async () => {
    hold("m", RecordType.delayedMessage, 77_000);
    hold("m", RecordType.carriedMessage, 77_000);
    assert.deepEqual(holds(await byId("m")), ["ENDED 0 0"]);
    scene.store.send("t", 0, { id: "m" });
    assert.deepEqual(holds(await byId("m")), [null]);
  });

  it("come again to the group whose dead letters they are, once for each", async () => {
    for (const id of ["a", "b", "c"]) scene.store.send("t", 0, { id });
    await bury();
    const first = await resend({ maxMessages: 2 });
    assert.deepEqual(outcomes(first), ["a RESENT", "b RESENT"]);
    assert.deepEqual([first.nextOffset, first.endOffset], [2, 3]);
    const rest = await resend();
    assert.deepEqual(outcomes(rest), ["c RESENT"]);
    assert.deepEqual(outcomes(await resend()), []);
    const again = await scene.receive();
    assert.deepEqual(names(again).sort(), ["0:0", "0:1", "0:2"]);
    assert.ok(again.every(({ attempt }) => attempt === 1));
    for (const message of again) scene.ack(message);
    assert.deepEqual(outcomes(await resend()), []);
    assert.deepEqual(outcomes(await resend({ fromOffset: 2 })), ["c RESENT"]);
    assert.deepEqual(outcomes(await resend({ fromOffset: 2 })), ["c NOT_DONE"]);
  });

  it("keep what was resent over a crash", async () => {
    for (const id of ["a", "b"]) scene.store.send("t", 0, { id });
    await bury();
    await resend({ maxMessages: 1 });
    await scene.crash();
    await serve();
    assert.deepEqual(outcomes(await resend()), ["b RESENT"]);
    assert.deepEqual(names(await scene.receive()).sort(), ["0:0", "0:1"]);
  });

  it("come again by id, which counts for the rest when it was the next", async () => {
    for (const id of ["a", "b", "c"]) scene.store.send("t", 0, { id });
    await bury();
    assert.deepEqual(outcomes(await resend({ messageId: "a" })), ["a RESENT"]);
    assert.deepEqual(outcomes(await resend({ messageId: "a" })), ["a NOT_DONE"]);
    assert.deepEqual(outcomes(await resend({ messageId: "c" })), ["c RESENT"]);
    assert.deepEqual(outcomes(await resend()), ["b RESENT", "c NOT_DONE"]);
    const missing = await resend({ messageId: "nobody" });
    assert.equal(missing.status?.code, Code.MESSAGE_NOT_FOUND);
  });

  it("do not come again when the original has expired", async () => {
    for (const id of ["a", "b"]) scene.store.send("t", 0, { id });
    await bury();
    const queue = scene.store.queue("t", 0);
    assert.ok(queue);
    scene.store.expire(queue, 1);
    assert.deepEqual(outcomes(await resend()), ["a ORIGINAL_GONE", "b RESENT"]);
  });

  it("are refused to who names no group, and where there is no master", async () => {
    assert.equal((await resend({ group: "nobody" })).status?.code, Code.CONSUMER_GROUP_NOT_FOUND);
    assert.deepEqual(outcomes(await resend()), []);
    broker.local = { ...broker.parts, canSend: false };
    assert.equal((await resend()).status?.code, Code.HA_NOT_AVAILABLE);
  });

  function subscribe(expression: string): void {
    const subscriptions = [{ topic: "t", filterType: 1, expression }];
    const polling = { pollingMs: undefined, requestTimeoutMs: undefined };
    const role = { kind: "consumer", type: 3, group, subscriptions, ...polling } as const;
    const identity = { id: "c1", language: "GO", version: "5" };
    broker.clients.settle(identity, role, new TestStream().connection);
  }
});
