import assert from "node:assert/strict";
import { PullConsumer, type PullConsumerOptions } from "./pull-consumer.ts";
import { FakeBroker, until } from "./testkit/fake-broker.ts";
import { bodies, coded, fill, group, open, pollAll, queueOf, topic } from "./testkit/pulling.ts";

describe("PullConsumer with queues of its choice", () => {
  it("lists the queues of a topic, and reads those that it assigns, in their order", async () => {
    using broker = await FakeBroker.start();
    await using consumer = await open(broker);
    assert.deepEqual(await consumer.queues(topic), [queueOf(0), queueOf(1)]);
    fill(broker, 0, 100);
    fill(broker, 1, 5);
    await consumer.assign([queueOf(0)]);
    assert.deepEqual(consumer.assignment(), [queueOf(0)]);
    const got = await pollAll(consumer, 100);
    assert.deepEqual(
      got,
      Array.from({ length: 100 }, (_unused, index) => `q0-${index}`),
    );
    assert.equal(consumer.position(queueOf(0)), 100);
    assert.throws(() => consumer.position(queueOf(1)), coded("BAD_OPTION"));
  });

  it("gives a message with its fields, and nothing to acknowledge", async () => {
    using broker = await FakeBroker.start();
    await using consumer = await open(broker);
    fill(broker, 1, 1);
    await consumer.assign([queueOf(1)]);
    const [message] = await consumer.poll();
    assert.equal(message?.messageId, "q1-0");
    assert.equal(message?.offset, 0);
    assert.equal(message?.queueId, 1);
    assert.equal(message?.brokerName, "fake-a");
    assert.equal(message?.receiptHandle, "");
    assert.equal(message?.deliveryAttempt, undefined);
  });

  it("gives none in time when there is none, and wakes for one", async () => {
    using broker = await FakeBroker.start();
    await using consumer = await open(broker);
    await consumer.assign([queueOf(0), queueOf(1)]);
    assert.deepEqual(await consumer.poll({ timeout: 50 }), []);
    const polled = consumer.poll({ timeout: 5_000 });
    fill(broker, 1, 1);
    assert.deepEqual(bodies(await polled), ["q1-0"]);
    const aborted = consumer.poll({ timeout: 5_000, signal: AbortSignal.timeout(20) });
    await assert.rejects(aborted, /abort|timeout/i);
  });

  it("takes queues in turn and no more messages than wanted", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 3);
    fill(broker, 1, 3);
    await using consumer = await open(broker);
    await consumer.assign([queueOf(0), queueOf(1)]);
    const seen = new Set<string>();
    for (let index = 0; index < 6; index++) {
      const polled = await consumer.poll({ maxMessageNum: 1 });
      assert.equal(polled.length, 1);
      for (const body of bodies(polled)) seen.add(body);
    }
    assert.equal(seen.size, 6);
  });

  it("begins where the group has stored, else where it was told to", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 10);
    fill(broker, 1, 10);
    broker.queues.offsets.set(`${group} ${topic} 0`, 7);
    await using consumer = await open(broker, { initialPosition: new Date(8_000) });
    await consumer.assign([queueOf(0), queueOf(1)]);
    const got = await pollAll(consumer, 5);
    assert.deepEqual(got.sort(), ["q0-7", "q0-8", "q0-9", "q1-8", "q1-9"]);
    await using latest = await open(broker, { consumerGroup: "h", initialPosition: "end" });
    await latest.assign([queueOf(0)]);
    assert.deepEqual(await latest.poll({ timeout: 100 }), []);
    assert.equal(latest.position(queueOf(0)), 10);
  });

  it("goes to an offset, the ends and a moment, and drops what it has read ahead", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 10);
    broker.queues.queue(topic, 0).minOffset = 2;
    await using consumer = await open(broker, { batchSize: 4 });
    await consumer.assign([queueOf(0)]);
    await consumer.seek(queueOf(0), 5);
    assert.deepEqual(bodies(await consumer.poll({ maxMessageNum: 1 })), ["q0-5"]);
    await consumer.seek(queueOf(0), "beginning");
    assert.equal(consumer.position(queueOf(0)), 2);
    assert.deepEqual(bodies(await consumer.poll({ maxMessageNum: 2 })), ["q0-2", "q0-3"]);
    await consumer.seek(queueOf(0), new Date(9_000));
    assert.deepEqual(bodies(await consumer.poll()), ["q0-9"]);
    await consumer.seek(queueOf(0), "end");
    assert.deepEqual(await consumer.poll({ timeout: 50 }), []);
    fill(broker, 0, 1);
    assert.deepEqual(bodies(await consumer.poll()), ["q0-10"]);
    await assert.rejects(consumer.seek(queueOf(1), 0), coded("BAD_OPTION"));
    await assert.rejects(consumer.seek(queueOf(0), -1), coded("BAD_OPTION"));
  });

  it("goes on at the nearest offset when its own has expired, or is beyond the end", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 10);
    broker.queues.queue(topic, 0).minOffset = 6;
    broker.queues.offsets.set(`${group} ${topic} 0`, 3);
    const warnings: string[] = [];
    const logger = {
      info: () => {},
      error: () => {},
      warn: (...words: readonly unknown[]) => void warnings.push(words.join(" ")),
    };
    await using consumer = await open(broker, { logger });
    await consumer.assign([queueOf(0)]);
    assert.deepEqual(bodies(await consumer.poll()), ["q0-6", "q0-7", "q0-8", "q0-9"]);
    await consumer.seek(queueOf(0), 99);
    assert.deepEqual(await consumer.poll({ timeout: 100 }), []);
    assert.equal(consumer.position(queueOf(0)), 10);
    assert.ok(warnings.some((line) => line.includes("3 > 6")));
    assert.ok(warnings.some((line) => line.includes("99 > 10")));
  });

  it("holds a queue back while it is paused, and goes on where it was", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 3);
    fill(broker, 1, 3);
    await using consumer = await open(broker);
    await consumer.assign([queueOf(0), queueOf(1)]);
    consumer.pause([queueOf(0)]);
    assert.deepEqual(consumer.paused(), [queueOf(0)]);
    assert.deepEqual(await pollAll(consumer, 3), ["q1-0", "q1-1", "q1-2"]);
    assert.deepEqual(await consumer.poll({ timeout: 50 }), []);
    const polled = consumer.poll({ timeout: 5_000 });
    consumer.resume([queueOf(0)]);
    assert.deepEqual(bodies(await polled), ["q0-0", "q0-1", "q0-2"]);
  });

  it("reads ahead a bounded number of messages and bytes", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 1_000);
    fill(broker, 1, 1_000);
    await using consumer = await open(broker, { batchSize: 10, maxCacheMessageSizeInBytes: 20 });
    await consumer.assign([queueOf(0), queueOf(1)]);
    await consumer.poll({ maxMessageNum: 1 });
    await consumer.poll({ maxMessageNum: 1 });
    // Bytes of both queues together are over the bound: nobody reads on before some are taken.
    const pulls = broker.queues.pulls.length;
    assert.ok(pulls <= 4, `${pulls} pulls`);
    for (let left = 1_998; left > 0; ) left -= (await consumer.poll()).length;
    assert.ok(broker.queues.pulls.length >= 200, "ten at a time");
  });

  it("tells the application what does not pass by itself, and reads on afterwards", async () => {
    using broker = await FakeBroker.start();
    const refusal = { code: 40_010, message: "no such filter" };
    broker.queues.pull = () => [{ status: refusal }];
    await using consumer = await open(broker);
    await consumer.assign([queueOf(0)], "a | b");
    await assert.rejects(consumer.poll(), coded("ILLEGAL_FILTER_EXPRESSION"));
    broker.queues.pull = undefined;
    fill(broker, 0, 1);
    await until(() => broker.queues.pulls.length > 2);
    let got: string[] = [];
    while (got.length === 0) got = bodies(await consumer.poll().catch(() => []));
    assert.deepEqual(got, ["q0-0"]);
  });

  it("lives through what passes by itself", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 2);
    let failures = 3;
    broker.queues.pull = () => {
      if (failures-- > 0) return [{ status: { code: 50_002, message: "no master" } }];
      return undefined;
    };
    await using consumer = await open(broker);
    await consumer.assign([queueOf(0)]);
    assert.deepEqual(await pollAll(consumer, 2), ["q0-0", "q0-1"]);
  });

  it("takes an answer without the next offset, or of nonsense, for what it is", async () => {
    using broker = await FakeBroker.start();
    broker.queues.pull = () => [{ status: { code: 20_000 } }];
    await using consumer = await open(broker);
    await consumer.assign([queueOf(0)]);
    // PROTOCOL may pass by itself: the application is not bothered, and nothing is read.
    assert.deepEqual(await consumer.poll({ timeout: 200 }), []);
    assert.equal(consumer.position(queueOf(0)), 0);
  });
});

describe("PullConsumer and its commits", () => {
  it("stores by itself what was polled before the last poll", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 4);
    await using consumer = await open(broker, { autoCommit: true, autoCommitInterval: 100 });
    await consumer.assign([queueOf(0)]);
    await consumer.poll({ maxMessageNum: 3 });
    await until(() => broker.queues.commits.length > 0);
    assert.deepEqual(broker.queues.commits, [`${group} ${topic} 0 0`], "where it began");
    await consumer.poll({ maxMessageNum: 1 });
    await until(() => broker.queues.commits.length > 1);
    assert.deepEqual(broker.queues.commits.slice(1), [`${group} ${topic} 0 3`]);
    assert.equal(await consumer.committed(queueOf(0)), 3);
    await consumer.commit();
    assert.equal(await consumer.committed(queueOf(0)), 4);
  });

  it("stores what it is told to, also back, and nothing by itself without autoCommit", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 4);
    const consumer = await open(broker);
    await consumer.assign([queueOf(0)]);
    assert.equal(await consumer.committed(queueOf(0)), undefined);
    await pollAll(consumer, 4);
    await consumer.commit([{ queue: queueOf(0), offset: 2 }]);
    await consumer.commit([{ queue: queueOf(0), offset: 1 }]);
    assert.equal(await consumer.committed(queueOf(0)), 1);
    await assert.rejects(consumer.commit([{ queue: queueOf(0), offset: -1 }]), coded("BAD_OPTION"));
    await consumer.shutdown();
    assert.deepEqual(broker.queues.commits, [`${group} ${topic} 0 2`, `${group} ${topic} 0 1`]);
  });

  it("stores everything that was polled when it is shut down", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 4);
    const consumer = await open(broker, { autoCommit: true });
    await consumer.assign([queueOf(0)]);
    assert.equal((await pollAll(consumer, 4)).length, 4);
    await consumer.shutdown();
    assert.deepEqual(broker.queues.commits, [`${group} ${topic} 0 4`]);
    assert.deepEqual(broker.terminated, [consumer.clientId]);
    await assert.rejects(consumer.poll(), coded("CLOSED"));
  });

  it("does not store what an exception has cut off", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 4);
    const failing = async (): Promise<void> => {
      await using consumer = await open(broker, { autoCommit: true });
      await consumer.assign([queueOf(0)]);
      await consumer.poll({ maxMessageNum: 1 });
      await consumer.poll({ maxMessageNum: 2 });
      throw new Error("the application failed");
    };
    await assert.rejects(failing(), /the application failed/);
    assert.deepEqual(broker.queues.commits, [`${group} ${topic} 0 1`]);
  });

  it("counts a message of the iteration as done with when the next one is asked for", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 4);
    const consumer = await open(broker, { autoCommit: true });
    await consumer.assign([queueOf(0)]);
    for await (const message of consumer) if (message.offset === 2) break;
    await consumer[Symbol.asyncDispose]();
    assert.deepEqual(broker.queues.commits, [`${group} ${topic} 0 2`]);
  });

  it("stores where it was moved to", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 9);
    await using consumer = await open(broker);
    await consumer.assign([queueOf(0)]);
    await pollAll(consumer, 9);
    await consumer.seek(queueOf(0), 3);
    await consumer.commit();
    assert.deepEqual(broker.queues.commits, [`${group} ${topic} 0 3`]);
  });

  it("rejects when a position was not stored, and stores it with the next commit", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 1);
    await using consumer = await open(broker);
    await consumer.assign([queueOf(0)]);
    await pollAll(consumer, 1);
    broker.queues.update = () => ({ code: 40_019, message: "beyond the end" });
    await assert.rejects(consumer.commit(), coded("ILLEGAL_OFFSET"));
    broker.queues.update = undefined;
    await consumer.commit();
    assert.deepEqual(broker.queues.commits, [`${group} ${topic} 0 1`]);
  });

  it("tries a commit again while no master is there", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 1);
    await using consumer = await open(broker);
    await consumer.assign([queueOf(0)]);
    await pollAll(consumer, 1);
    let refusals = 3;
    broker.queues.update = () =>
      refusals-- > 0 ? { code: 50_002, message: "no master" } : undefined;
    await consumer.commit();
    assert.deepEqual(broker.queues.commits, [`${group} ${topic} 0 1`]);
  });

  it("stores what it gives up when it assigns anew", async () => {
    using broker = await FakeBroker.start();
    fill(broker, 0, 2);
    fill(broker, 1, 2);
    await using consumer = await open(broker, { autoCommit: true });
    await consumer.assign([queueOf(0)]);
    await consumer.poll({ maxMessageNum: 1 });
    await consumer.poll({ maxMessageNum: 1 });
    await consumer.assign([queueOf(1)]);
    assert.deepEqual(consumer.assignment(), [queueOf(1)]);
    assert.deepEqual(broker.queues.commits, [`${group} ${topic} 0 1`]);
    assert.deepEqual(await pollAll(consumer, 2), ["q1-0", "q1-1"]);
  });
});

describe("options of consumers that read by offset", () => {
  it("are checked", () => {
    const wrong: Partial<PullConsumerOptions>[] = [
      { consumerGroup: "" },
      { batchSize: 0 },
      { batchSize: 513 },
      { longPollingTimeout: 20_001 },
      { autoCommitInterval: 99 },
      { maxCacheMessageSizeInBytes: 0 },
      { initialPosition: new Date(Number.NaN) },
      { initialPosition: "middle" as "end" },
    ];
    for (const options of wrong) {
      assert.throws(
        () => new PullConsumer({ endpoints: "127.0.0.1:1", consumerGroup: group, ...options }),
        coded("BAD_OPTION"),
        JSON.stringify(options),
      );
    }
  });
});
