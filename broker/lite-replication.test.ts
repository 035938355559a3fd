// How far groups have come in lite topics, at the brokers of one group: at a slave that acts, and in a state that is built
// anew from the log.
import assert from "node:assert/strict";
import { systemClock } from "../base/index.ts";
import { matchAll, messageGroupHash } from "./delivery/index.ts";
import type { Replica } from "./replica.ts";
import {
  Machine,
  message,
  ReplicaGroup,
  type RunningReplica,
  TestPeers,
} from "./testkit/replica-group.ts";

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 10_000;
  while (!condition()) {
    if (systemClock.monotonicMs() > deadlineMs) assert.fail(`never: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function served({ local }: Replica): NonNullable<Replica["local"]> {
  assert.ok(local !== undefined, "it does not serve");
  return local;
}

function isLevel(one: RunningReplica, other: RunningReplica): boolean {
  const [a, b] = [one.replica.slot.current?.store, other.replica.slot.current?.store];
  return a !== undefined && b !== undefined && a.confirmed === b.confirmed && a.end === b.end;
}

/** Sends one message to each of these lite topics; its body is the name and a number. */
async function send(replica: Replica, ...names: string[]): Promise<void> {
  for (const [index, name] of names.entries()) {
    const draft = message(`${name}${index}`);
    await served(replica).store.send([{ ...draft, messageGroupHash: messageGroupHash(name) }]);
  }
}

/** What a client that wants these lite topics gets; it acknowledges those that `isDone` says. */
async function consume(
  replica: Replica,
  names: readonly string[],
  isDone: (text: string) => boolean = () => true,
): Promise<string[]> {
  const { delivery, metadata } = served(replica);
  const [group, topic] = [metadata.group("g"), metadata.topic("t")];
  assert.ok(group !== undefined && topic !== undefined);
  const clientId = "client";
  const quota = { clientMax: 10, countMax: 10, isExclusive: false };
  await delivery.lite.sync({ group, topic, clientId, change: "set", names, ...quota });
  const messages = await delivery.receive({
    group,
    topic,
    queueId: -1,
    countMax: 32,
    invisibleMs: 30_000,
    autoRenew: false,
    filter: matchAll,
    clientId,
    pollingMs: 100,
    signal: new AbortController().signal,
    isClientGone: () => false,
  });
  const texts = messages.map(({ record }) => Buffer.from(record.body).toString());
  for (const [index, { receiptHandle }] of messages.entries()) {
    if (isDone(texts[index] ?? "")) assert.equal(delivery.ack("g", "t", receiptHandle), "ok");
  }
  return texts.toSorted();
}

async function makeNames({ metadata }: NonNullable<Replica["local"]>): Promise<void> {
  await metadata.updateTopic({ name: "t", readQueueNums: 1, messageType: "LITE" });
  await metadata.updateGroup({ name: "g" });
}

describe("lite topics in a group of brokers", () => {
  it("go on at the slave that acts where they were at the master", async () => {
    const group = new ReplicaGroup();
    const home = new Machine({ haListenPort: "100" });
    const first = await group.start(home);
    await makeNames(served(first.replica));
    await send(first.replica, "x", "a", "b", "a", "b");
    const slave = new Machine({
      brokerRole: "SLAVE",
      brokerId: "1",
      haListenPort: "101",
      haMasterAddress: "loop:100",
    });
    const second = await group.start(slave, new TestPeers());
    const got = await consume(first.replica, ["a", "b"], (text) => text !== "b2");
    assert.deepEqual(got, ["a1", "a3", "b2", "b4"]);
    const { store } = served(first.replica);
    const end = store.end;
    await until("progress is written", () => store.end > end && store.confirmed === store.end);
    await until(
      "the slave has everything",
      () => isLevel(first, second) && second.replica.slaveLog.isReady,
    );
    home.disk.kill();
    group.network.kill(100);
    await until("the slave acts", () => second.replica.local !== undefined);
    assert.deepEqual(await consume(second.replica, ["a", "b"]), []);
    assert.deepEqual(await consume(second.replica, ["a", "b", "x"]), ["x0"]);
    await second.close();
  });

  it("are where they were in a state that is built anew over a snapshot", async () => {
    const group = new ReplicaGroup();
    const home = new Machine({ haListenPort: "100" });
    const first = await group.start(home);
    await makeNames(served(first.replica));
    await send(first.replica, "x", "a", "b", "a");
    assert.deepEqual(await consume(first.replica, ["a"]), ["a1", "a3"]);
    await first.close();
    const again = await group.start(home);
    await served(again.replica).state.snapshot();
    await again.close();
    await home.database().destroy();
    const rebuilt = await group.start(home);
    assert.deepEqual(await consume(rebuilt.replica, ["a", "b", "x"]), ["b2", "x0"]);
    await rebuilt.close();
  });
});
