import assert from "node:assert/strict";
import { FakeBroker, until } from "./testkit/fake-broker.ts";
import { bodies, coded, fill, group, open, queueOf, topic } from "./testkit/pulling.ts";
import type { TopicQueue } from "./topic-queue.ts";

describe("PullConsumer with a share of the group", () => {
  const subscriptions = new Map([[topic, "a || b"]]);

  it("says what it is, and reads what the broker gives it", async () => {
    using broker = await FakeBroker.start();
    broker.queues.assign = () => [1];
    fill(broker, 0, 1);
    fill(broker, 1, 1);
    const told: string[] = [];
    const assignmentListener = {
      assigned: (queues: readonly TopicQueue[]) =>
        void told.push(queues.map(({ queueId }) => queueId).join()),
    };
    await using consumer = await open(broker, { subscriptions, assignmentListener });
    assert.deepEqual(bodies(await consumer.poll()), ["q1-0"]);
    assert.deepEqual(consumer.assignment(), [queueOf(1)]);
    assert.deepEqual(told, ["1"]);
    const [settings] = broker.settingsReceived;
    assert.equal(settings?.clientType, 4);
    assert.equal(settings?.subscription?.group?.name, group);
    const [entry] = settings?.subscription?.subscriptions ?? [];
    assert.equal(entry?.expression?.expression, "a || b");
    await assert.rejects(consumer.assign([queueOf(0)]), coded("BAD_OPTION"));
  });

  it("says with each question what it reads", async () => {
    using broker = await FakeBroker.start();
    broker.queues.assign = () => [1];
    await using consumer = await open(broker, { subscriptions });
    const said = (): string[] =>
      broker.headers.flatMap((headers) => headers.get("x-cometmq-reads").map(String));
    await until(() => said().length >= 2);
    assert.deepEqual(said().slice(0, 2), ["", "fake-a:1"]);
    assert.equal(consumer.assignment().length, 1);
  });

  it("lets go of a queue when the application is done with it, stores that, and only then asks again", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 2);
    const events: string[] = [];
    const assignmentListener = {
      assigned: (queues: readonly TopicQueue[]) =>
        void events.push(`assigned ${queues.map(({ queueId }) => queueId).join()}`),
      revoked: (queues: readonly TopicQueue[]) =>
        void events.push(`revoked ${queues.map(({ queueId }) => queueId).join()}`),
    };
    await using consumer = await open(broker, {
      subscriptions,
      assignmentListener,
      autoCommit: true,
    });
    assert.deepEqual(bodies(await consumer.poll()), ["q0-0", "q0-1"]);
    const { asked } = broker.queues;
    broker.queues.assign = () => {
      events.push("asked");
      return [1];
    };
    await until(() => events.includes("asked"));
    const askedOnce = asked.length;
    assert.deepEqual(consumer.assignment(), [queueOf(0), queueOf(1)]);
    const polled = consumer.poll({ timeout: 200 });
    await until(() => asked.length > askedOnce);
    assert.deepEqual(await polled, []);
    assert.deepEqual(consumer.assignment(), [queueOf(1)]);
    assert.ok(broker.queues.commits.includes(`${group} ${topic} 0 2`));
    assert.deepEqual(events.slice(0, 4), ["assigned 0,1", "asked", "revoked 0", "asked"]);
  });

  it("gives nothing more of a queue that it lets go of", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 10);
    await using consumer = await open(broker, { subscriptions });
    assert.equal((await consumer.poll({ maxMessageNum: 1 })).length, 1);
    broker.queues.assign = () => [];
    const { asked } = broker.queues;
    const before = asked.length;
    // The one after it is asked once its answer has been taken.
    await until(() => asked.length > before + 1);
    assert.deepEqual(await consumer.poll({ timeout: 100 }), []);
    await until(() => consumer.assignment().length === 0);
  });

  it("asks again what a broker does not know yet, and takes its refusals for no news", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 1);
    let isKnown = false;
    broker.queues.assign = () => (isKnown ? [0] : undefined);
    await using consumer = await open(broker, { subscriptions });
    await until(() => broker.queues.asked.length >= 2 && broker.heartbeats >= 1);
    assert.deepEqual(consumer.assignment(), []);
    isKnown = true;
    assert.deepEqual(bodies(await consumer.poll()), ["q0-0"]);
    broker.queues.assignment = () => ({ code: 50_002, message: "no master" });
    const before = broker.queues.asked.length;
    await until(() => broker.queues.asked.length >= before + 3);
    assert.deepEqual(consumer.assignment(), [queueOf(0)], "it keeps what it has");
    fill(broker, 0, 1);
    assert.deepEqual(bodies(await consumer.poll()), ["q0-1"]);
  });

  it("gives up, without a commit, what may be another's after eight seconds without an answer", async function () {
    this.timeout(30_000);
    using broker = await FakeBroker.start();
    fill(broker, 0, 1);
    let revoked = 0;
    const assignmentListener = { revoked: () => void revoked++ };
    const options = { subscriptions, assignmentListener, autoCommit: true };
    await using consumer = await open(broker, { ...options, autoCommitInterval: 60_000 });
    assert.equal((await consumer.poll()).length, 1);
    broker.queues.assignment = () => ({ code: 50_002, message: "no master" });
    await until(() => consumer.assignment().length === 0, 15_000);
    assert.equal(revoked, 0);
    assert.deepEqual(broker.queues.commits, []);
    broker.queues.assignment = undefined;
    // It begins anew where the group is.
    broker.queues.offsets.set(`${group} ${topic} 0`, 1);
    fill(broker, 0, 1);
    assert.deepEqual(bodies(await consumer.poll()), ["q0-1"]);
  });

  it("adds and leaves topics while it runs", async () => {
    using broker = await FakeBroker.start();
    broker.queues.assign = () => [0];
    broker.queues.store("more", 0, ["more-0"]);
    fill(broker, 0, 1);
    await using consumer = await open(broker, { subscriptions, autoCommit: true });
    assert.deepEqual(bodies(await consumer.poll()), ["q0-0"]);
    await consumer.subscribe("more", "*");
    assert.deepEqual(bodies(await consumer.poll()), ["more-0"]);
    await consumer.unsubscribe(topic);
    assert.deepEqual(
      consumer.assignment().map((queue) => queue.topic),
      ["more"],
    );
    assert.ok(broker.queues.commits.includes(`${group} ${topic} 0 1`));
  });

  it("survives a listener that fails", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 1);
    const assignmentListener = {
      assigned: () => {
        throw new Error("oops");
      },
    };
    await using consumer = await open(broker, { subscriptions, assignmentListener });
    assert.deepEqual(bodies(await consumer.poll()), ["q0-0"]);
  });

  it("leaves at once, with pulls and questions under way", async () => {
    using broker = await FakeBroker.start();
    const consumer = await open(broker, { subscriptions, longPollingTimeout: 20_000 });
    await until(() => broker.queues.pulling === 2);
    const startMs = Date.now();
    await consumer.shutdown();
    assert.ok(Date.now() - startMs < 1_500);
    await until(() => broker.queues.pulling === 0);
  });
});
