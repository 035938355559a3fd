import assert from "node:assert/strict";
import { limits, MqError } from "../../base/index.ts";
import { givenUpTopic } from "../metadata/index.ts";
import { RecordType } from "../store/index.ts";
import { scanAll } from "../store/testkit/open-store.ts";
import { TransactionScene } from "./testkit/transaction-scene.ts";

const unknown = { code: "INVALID_TRANSACTION_ID" };

describe("ends of transactions", () => {
  let open: TransactionScene;

  beforeEach(async () => {
    open = await TransactionScene.open();
  });

  afterEach(() => open.stop());

  it("show a message when it is committed, and not before", async () => {
    const half = await open.send("a");
    assert.deepEqual(await open.visible(), []);
    assert.equal(open.transactions.halfCount, 1);
    await open.end(half, "commit");
    assert.deepEqual(await open.visible(), ["a"]);
    assert.deepEqual(await open.scene.all(), []);
    assert.equal(open.transactions.halfCount, 0);
    const { accepted, committed, rolledBack } = open.transactions.counters;
    assert.deepEqual([accepted, committed, rolledBack], [1, 1, 0]);
  });

  it("never show a message that is rolled back", async () => {
    const half = await open.send("a");
    await open.end(half, "rollback");
    await open.scene.pass(60_000, 500);
    assert.deepEqual([await open.visible(), await open.scene.all(), open.asked], [[], [], []]);
    assert.equal(open.transactions.counters.rolledBack, 1);
  });

  it("write the visible copy and the end of being held as one group", async () => {
    const half = await open.send("a", {
      flags: 1,
      tagHash: 7,
      userProperties: Buffer.from("user"),
    });
    await open.end(half, "commit");
    const records = await scanAll(open.scene.store);
    const [copy, end] = records.slice(-2);
    assert.deepEqual([copy?.type, end?.type], [RecordType.message, RecordType.held]);
    assert.deepEqual([copy?.groupRest, end?.groupRest], [1, 0]);
    assert.deepEqual([copy?.flags, copy?.tagHash], [1, 7]);
    assert.equal(Buffer.from(copy?.userProperties ?? []).toString(), "user");
  });

  it("are the same when said again, and the first one wins", async () => {
    const [one, other] = [await open.send("one"), await open.send("other")];
    await Promise.all([open.end(one, "commit"), open.end(one, "commit"), open.end(one, "commit")]);
    await open.end(one, "commit");
    await assert.rejects(open.end(one, "rollback"), {
      code: "BAD_REQUEST",
      message: /committed already/,
    });
    await open.end(other, "rollback");
    await open.end(other, "rollback");
    await assert.rejects(open.end(other, "commit"), {
      code: "BAD_REQUEST",
      message: /rolled back already/,
    });
    assert.deepEqual(await open.visible(), ["one"]);
    const { committed, rolledBack } = open.transactions.counters;
    assert.deepEqual([committed, rolledBack], [1, 1]);
  });

  it("are answered as sends are, also when they are said again", async () => {
    const half = await open.send("a");
    let outcome: MqError | undefined = new MqError("SLAVE_PERSISTENCE_TIMEOUT", "late");
    open.scene.store.heed({
      refusal: () => undefined,
      confirmed: (durable) => durable,
      answered: (durable) => durable,
      outcome: () => outcome,
    });
    for (const turn of ["first", "again"]) {
      const late = { code: "SLAVE_PERSISTENCE_TIMEOUT" };
      await assert.rejects(open.end(half, "commit"), late, turn);
    }
    await assert.rejects(open.end(half, "rollback"), { code: "BAD_REQUEST" });
    outcome = undefined;
    await open.end(half, "commit");
    assert.deepEqual(await open.visible(), ["a"]);
  });

  it("let exactly one of two that come together win", async () => {
    for (let round = 0; round < 20; round++) {
      const half = await open.send(`m${round}`);
      const before = (await open.visible()).length;
      const [commit, rollback] = await Promise.allSettled([
        open.end(half, "commit"),
        open.end(half, "rollback"),
      ]);
      const winners = [commit, rollback].filter(({ status }) => status === "fulfilled");
      assert.equal(winners.length, 1);
      const shown = commit?.status === "fulfilled" ? 1 : 0;
      assert.equal((await open.visible()).length - before, shown);
    }
  });

  it("leave a transaction open that its producer does not know the end of", async () => {
    const half = await open.send("a");
    await open.end(half, undefined);
    assert.equal(open.transactions.halfCount, 1);
    await open.end(half, "commit");
    await open.end(half, undefined);
    assert.deepEqual(await open.visible(), ["a"]);
  });

  it("refuse what is no transaction id of this topic and message", async () => {
    const half = await open.send("a");
    const { transactionId } = half;
    const altered = `${transactionId.slice(0, 20)}${transactionId[20] === "A" ? "B" : "A"}${transactionId.slice(21)}`;
    for (const id of ["", "x", half.messageId, altered]) {
      await assert.rejects(open.end({ ...half, transactionId: id }, "commit"), unknown, id);
    }
    await assert.rejects(open.end(half, "commit", "other"), unknown);
    await assert.rejects(open.end({ ...half, messageId: "of another" }, "commit"), {
      ...unknown,
      message: /of message id of a, not of of another/,
    });
    assert.deepEqual([await open.visible(), open.transactions.halfCount], [[], 1]);
    await open.end({ ...half, messageId: "" }, "commit");
    assert.deepEqual(await open.visible(), ["a"]);
  });

  it("work after restart and kill, with and without the state's database", async () => {
    for (const loses of [false, true]) {
      const half = await open.send(`restarted ${loses}`);
      await open.restart(loses);
      await open.end(half, "commit");
      assert.equal((await open.visible()).at(-1), half.text);
    }
    for (const loses of [false, true]) {
      const [half, ended] = [await open.send(`killed ${loses}`), await open.send(`lost ${loses}`)];
      await open.end(ended, "rollback");
      open = await open.killed(loses);
      await open.end(half, "commit");
      assert.equal((await open.visible()).at(-1), half.text);
      await assert.rejects(open.end(ended, "commit"), unknown);
    }
    assert.equal((await open.visible()).length, 4);
  });

  it("choose the queue anew: by message group, or one that there is", async () => {
    const { metadata } = open.scene.state;
    await metadata.updateTopic({
      name: "t",
      writeQueueNums: 8,
      readQueueNums: 8,
      messageType: "MIXED",
    });
    const plain = await open.send("plain", { queueId: 7 });
    const grouped = await open.send("grouped", { queueId: 7, messageGroupHash: 5 });
    await metadata.updateTopic({
      name: "t",
      writeQueueNums: 2,
      readQueueNums: 8,
      messageType: "MIXED",
    });
    await open.end(plain, "commit");
    await open.end(grouped, "commit");
    const copies = (await scanAll(open.scene.store)).filter(
      ({ type }) => type === RecordType.message,
    );
    assert.deepEqual(
      copies.map(({ queueId, messageGroupHash }) => [queueId, messageGroupHash]),
      [
        [1, 0],
        [1, 5],
      ],
    );
  });

  it("come too late for a topic that was deleted", async () => {
    const half = await open.send("old");
    const { metadata } = open.scene.state;
    await metadata.deleteTopic("t");
    await metadata.updateTopic({ name: "t", readQueueNums: 1, messageType: "TRANSACTION" });
    await assert.rejects(open.end(half, "commit"), { ...unknown, message: /topic was deleted/ });
    await open.scene.pass(10_000, 100);
    assert.deepEqual([await open.visible(), open.asked], [[], []]);
  });

  it("are remembered in bounded number, and for a bounded time", async () => {
    await open.stop();
    open = await TransactionScene.open({ outcomesMax: 2 });
    const halves = [await open.send("a"), await open.send("b"), await open.send("c")];
    for (const half of halves) await open.end(half, "commit");
    const [a, b, c] = halves;
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    await assert.rejects(open.end(a, "commit"), { ...unknown, message: /not remembered/ });
    await open.end(b, "commit");
    open.scene.clock.elapse(limits.transactionOutcomesMs + 1);
    await assert.rejects(open.end(c, "commit"), unknown);
  });

  it("make room: no more than so many are open", async () => {
    open.halfMax = 2;
    const [half] = [await open.send("a"), await open.send("b")];
    await assert.rejects(open.send("c"), {
      code: "TOO_MANY_REQUESTS",
      message: /2 open transactions, at most 2/,
    });
    await open.end(half, "rollback");
    await open.send("c");
    await assert.rejects(open.send("d"), { code: "TOO_MANY_REQUESTS" });
  });

  it("leave the transaction open when the disk is full", async () => {
    const half = await open.send("a");
    open.scene.disk.capacityBytes = 1;
    await assert.rejects(open.end(half, "rollback"));
    open.scene.disk.capacityBytes = Number.POSITIVE_INFINITY;
    await open.scene.pass(1_000, 50);
    await open.end(half, "commit");
    assert.deepEqual(await open.visible(), ["a"]);
  });
});

describe("checks of transactions", () => {
  let open: TransactionScene;

  beforeEach(async () => {
    open = await TransactionScene.open();
  });

  afterEach(() => open.stop());

  it("come first after the time-out, then after each interval", async () => {
    const startMs = open.nowMs;
    const half = await open.send("a");
    await open.scene.pass(70_000, 100);
    const times = open.asked.map(({ atMs }) => atMs - startMs);
    assert.equal(times.length, 3);
    for (const [index, dueMs] of [6_000, 36_000, 66_000].entries()) {
      const lateMs = (times[index] ?? 0) - dueMs;
      assert.ok(lateMs >= 0 && lateMs < 1_000, `${lateMs} ms late`);
    }
    assert.ok(open.asked.every(({ transactionId }) => transactionId === half.transactionId));
    const [entry] = await open.scene.all();
    assert.deepEqual([entry?.count, open.transactions.counters.checked], [3, 3]);
  });

  it("come first after the message's own time", async () => {
    const startMs = open.nowMs;
    await open.send("soon", {}, 1_000);
    await open.send("late", {}, 20_000);
    await open.scene.pass(19_000, 100);
    assert.deepEqual(open.askedTexts, ["soon"]);
    assert.ok((open.asked[0]?.atMs ?? 0) - startMs < 2_000);
    await open.scene.pass(2_000, 100);
    assert.deepEqual(open.askedTexts, ["soon", "late"]);
  });

  it("end with the transaction, whoever answers", async () => {
    const half = await open.send("a");
    await open.scene.pass(6_100);
    assert.equal(open.asked.length, 1);
    await open.end(half, "commit");
    await open.scene.pass(60_000, 500);
    assert.deepEqual([open.asked.length, await open.visible()], [1, ["a"]]);
  });

  it("wait for a producer without counting, and come within a second when one is here", async () => {
    open.hasProducer = false;
    open.checkMax = 2;
    await open.send("a");
    await open.scene.pass(300_000, 500);
    assert.deepEqual(
      (await open.scene.all()).map(({ count }) => count),
      [0],
    );
    open.hasProducer = true;
    await open.scene.pass(1_000, 50);
    assert.equal(open.asked.length, 1);
    assert.deepEqual(
      (await open.scene.all()).map(({ count }) => count),
      [1],
    );
  });

  it("are counted over restarts, and then the message is given up", async () => {
    open.intervalMs = 1_000;
    open.checkMax = 4;
    const half = await open.send("a");
    await open.scene.pass(7_500);
    assert.equal(open.asked.length, 2);
    await open.restart(true);
    await open.scene.pass(10_000, 50);
    assert.equal(open.asked.length, 4);
    assert.deepEqual([await open.visible(), await open.scene.all()], [[], []]);
    assert.deepEqual(await open.visible(givenUpTopic), ["a"]);
    assert.equal(open.transactions.counters.givenUp, 1);
    const line = open.scene.logger.lines.find(({ message }) => /given up/.test(message));
    assert.deepEqual([line?.fields["topic"], line?.fields["checks"]], ["t", 4]);
    await assert.rejects(open.end(half, "commit"), { ...unknown, message: /given up/ });
    const records = await scanAll(open.scene.store);
    const copy = records.find(({ topic }) => topic === givenUpTopic);
    assert.equal(copy?.groupRest, 1, "one group with the end of being held");
  });

  it("of many that are due together all come, and only once", async () => {
    const count = 1_500;
    await Promise.all(Array.from({ length: count }, (_, index) => open.send(`m${index}`)));
    await open.scene.pass(8_000, 50);
    assert.equal(open.asked.length, count);
    assert.equal(new Set(open.askedTexts).size, count);
  });

  it("find all again after a restart, with a small window", async () => {
    await open.stop();
    open = await TransactionScene.open({ windowMax: 16 });
    const count = 200;
    const halves = [];
    for (let index = 0; index < count; index++) halves.push(await open.send(`m${index}`));
    await open.restart();
    await open.scene.pass(8_000, 50);
    assert.equal(new Set(open.askedTexts).size, count);
    for (const half of halves) await open.end(half, "commit");
    assert.equal((await open.visible()).length, count);
    assert.deepEqual(await open.scene.all(), []);
  });

  it("are made again when they could not be noted", async () => {
    await open.send("a");
    await open.scene.pass(5_900, 100);
    open.scene.disk.capacityBytes = 1;
    await open.scene.pass(3_000, 100);
    assert.ok(open.transactions.counters.failures > 0);
    open.scene.disk.capacityBytes = Number.POSITIVE_INFINITY;
    await open.scene.pass(3_000, 100);
    assert.deepEqual(
      (await open.scene.all()).map(({ count }) => count),
      [1],
    );
  });
});
