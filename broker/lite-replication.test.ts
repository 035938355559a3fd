// How far groups have come in lite topics, at the brokers of one group: at a slave that acts, and in a state that is built
// anew from the log.
import assert from "node:assert/strict";
import { systemClock, systemRandom } from "../base/index.ts";
import { messageGroupHash } from "./delivery/index.ts";
import { ModelledEtcd } from "./ha/election/testkit/modelled-etcd.ts";
import type { Replica } from "./replica.ts";
import { receive as receiveFrom } from "./testkit/receiving.ts";
import {
  type ElectedReplica,
  elected,
  Machine,
  message,
  ReplicaGroup,
  type RunningReplica,
  TestPeers,
} from "./testkit/replica-group.ts";

interface ConsumeOptions {
  readonly isDone?: (text: string) => boolean;
  /** Takes the receipt handles, by body. */
  readonly handles?: Map<string, string>;
}

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

/** Sends messages with these bodies, each to the lite topic that its first letter names. */
async function send(replica: Replica, ...texts: string[]): Promise<void> {
  for (const text of texts) {
    const hash = messageGroupHash(text.slice(0, 1));
    await served(replica).store.send([{ ...message(text), messageGroupHash: hash }]);
  }
}

/** Says the whole set of lite topics that the client wants. */
async function subscribe(replica: Replica, ...names: string[]): Promise<void> {
  const { delivery, metadata } = served(replica);
  const [group, topic] = [metadata.group("g"), metadata.topic("t")];
  assert.ok(group !== undefined && topic !== undefined);
  const quota = { clientMax: 10, countMax: 10, isExclusive: false };
  await delivery.lite.sync({ group, topic, clientId: "client", change: "set", names, ...quota });
}

/** What the client gets, those of one lite topic in their order; it acknowledges those that `isDone` says. */
async function receive(
  replica: Replica,
  { isDone = (): boolean => true, handles }: ConsumeOptions = {},
): Promise<string[]> {
  const local = served(replica);
  const messages = await receiveFrom(local, { invisibleMs: 30_000, pollingMs: 100 });
  const texts = messages.map(({ record }) => Buffer.from(record.body).toString());
  for (const [index, { receiptHandle }] of messages.entries()) {
    handles?.set(texts[index] ?? "", receiptHandle);
    if (isDone(texts[index] ?? "")) assert.equal(local.delivery.ack("g", "t", receiptHandle), "ok");
  }
  return texts.toSorted((a, b) => a.slice(0, 1).localeCompare(b.slice(0, 1)));
}

/** What the client gets that wants these lite topics. */
async function consume(
  replica: Replica,
  names: readonly string[],
  options?: ConsumeOptions,
): Promise<string[]> {
  await subscribe(replica, ...names);
  return await receive(replica, options);
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
    await send(first.replica, "x0", "a1", "b2", "a3", "b4");
    const slave = new Machine({
      brokerRole: "SLAVE",
      brokerId: "1",
      haListenPort: "101",
      haMasterAddress: "loop:100",
    });
    const second = await group.start(slave, new TestPeers());
    const isDone = (text: string): boolean => text !== "b2";
    const got = await consume(first.replica, ["a", "b"], { isDone });
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

  it("go on at an elected successor where they were, once clients have said again what they want", async () => {
    const etcd = new ModelledEtcd({ clock: systemClock, random: systemRandom });
    const group = new ReplicaGroup();
    const running = new Map<number, ElectedReplica>();
    for (const id of [1, 2, 3]) running.set(id, await group.startElected(elected(id), etcd));
    const masterOf = (): ElectedReplica | undefined =>
      [...running.values()].find(({ replica }) => replica.local?.canSend === true);
    await until("all are in sync", () => masterOf()?.role.syncState()?.inSyncIds.length === 3);
    const before = masterOf();
    assert.ok(before !== undefined);
    await makeNames(served(before.replica));
    await send(before.replica, "x0", "a1", "b2", "a3", "b4");
    const isDone = (text: string): boolean => text !== "b2";
    const { store } = served(before.replica);
    const { end } = store;
    const handles = new Map<string, string>();
    const got = await consume(before.replica, ["a", "b"], { isDone, handles });
    assert.deepEqual(got, ["a1", "a3", "b2", "b4"]);
    await until("progress is written", () => store.end > end && store.confirmed === store.end);
    const id = before.replica.identity().brokerId;
    etcd.cut(String(id), "both");
    before.kill();
    running.delete(id);
    await until("another one rules", () => masterOf() !== undefined);
    const after = masterOf()?.replica;
    assert.ok(after !== undefined);
    await send(after, "a5", "b6", "x7");
    assert.deepEqual(await receive(after), []);
    // Of "b" one is out, which holds back the rest of it.
    assert.deepEqual(await consume(after, ["a", "b", "x"]), ["a5", "x0", "x7"]);
    const failed = { group: "g", topic: "t", receiptHandle: handles.get("b2") ?? "" };
    served(after).delivery.changeInvisible({ ...failed, invisibleMs: 0 });
    assert.deepEqual(await receive(after), ["b2", "b6"]);
    for (const one of running.values()) await one.close();
  });

  it("are where they were in a state that is built anew over a snapshot", async () => {
    const group = new ReplicaGroup();
    const home = new Machine({ haListenPort: "100" });
    const first = await group.start(home);
    await makeNames(served(first.replica));
    await send(first.replica, "x0", "a1", "b2", "a3");
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
