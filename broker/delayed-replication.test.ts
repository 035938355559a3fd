// Delayed messages in a group of brokers: a slave has them, an acting master leaves them alone, a successor settles them.
import assert from "node:assert/strict";
import { systemClock, systemRandom } from "../base/index.ts";
import { ModelledEtcd } from "./ha/election/testkit/modelled-etcd.ts";
import type { HeldEntry } from "./metadata/index.ts";
import type { Replica } from "./replica.ts";
import { RecordType } from "./store/index.ts";
import { readQueue } from "./store/testkit/open-store.ts";
import {
  type ElectedReplica,
  elected,
  Machine,
  message,
  ReplicaGroup,
  type RunningReplica,
  TestPeers,
} from "./testkit/replica-group.ts";

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 15_000;
  while (!condition()) {
    if (systemClock.monotonicMs() > deadlineMs) assert.fail(`never: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const everyHour = Array.from({ length: 24 }, (_, hour) => hour).join(";");

const master = (settings = {}): Machine => new Machine({ haListenPort: "100", ...settings });
const slave = (settings = {}): Machine =>
  new Machine({
    brokerRole: "SLAVE",
    brokerId: "1",
    haListenPort: "101",
    haMasterAddress: "loop:100",
    ...settings,
  });

function peersOf({ replica, port }: RunningReplica): TestPeers {
  const peers = new TestPeers();
  const { brokerId } = replica.identity();
  peers.places = [{ brokerId, grpcAddress: "", haAddress: `loop:${port}` }];
  return peers;
}

async function makeTopic(replica: Replica): Promise<void> {
  const { local } = replica;
  assert.ok(local !== undefined, "it does not serve");
  await local.metadata.updateTopic({ name: "t", readQueueNums: 1, messageType: "DELAY" });
}

/** Sends a delayed message; gives the handle to recall it by. */
async function send(replica: Replica, text: string, dueMs: number): Promise<string> {
  const { local } = replica;
  assert.ok(local?.timers !== undefined, "it takes no delayed messages");
  const draft = { ...message(text), type: RecordType.delayedMessage, dueMs };
  const [appended] = await local.store.send([draft]);
  return local.timers.handleOf("t", dueMs, appended?.position ?? -1);
}

function deliveredCount(replica: Replica): number {
  return replica.slot.required().store.queue("t", 0)?.endOffset ?? 0;
}

async function delivered(replica: Replica): Promise<string[]> {
  return await readQueue(replica.slot.required().store, "t");
}

async function heldBy(replica: Replica): Promise<HeldEntry[]> {
  const found: HeldEntry[] = [];
  const { state } = replica.slot.required();
  assert.ok(state !== undefined, "it has no state");
  for await (const entries of state.held.scan()) found.push(...entries);
  return found;
}

function isLevel(one: RunningReplica, other: RunningReplica): boolean {
  const [a, b] = [one.replica.slot.current?.store, other.replica.slot.current?.store];
  return a !== undefined && b !== undefined && a.confirmed === b.confirmed && a.end === b.end;
}

const texts = (count: number): string[] => Array.from({ length: count }, (_, index) => `m${index}`);

describe("delayed messages in a group of brokers", () => {
  it("are held by a slave as by its master, also when retention has carried them", async () => {
    const group = new ReplicaGroup();
    const first = await group.start(master({ fileReservedTime: "0", deleteWhen: everyHour }));
    await makeTopic(first.replica);
    const second = await group.start(slave());
    await until("it follows", () => isLevel(first, second) && second.replica.slaveLog.isReady);
    const dueMs = systemClock.now() + 3_600_000;
    for (const text of texts(10)) await send(first.replica, text, dueMs);
    const { store } = first.replica.slot.required();
    for (let index = 0; index < 900; index += 1) {
      await store.append([{ ...message("x".repeat(200)), topic: "other" }]);
    }
    await store.clean();
    assert.ok(store.start > 0, "nothing has expired");
    await until("the slave has everything", () => isLevel(first, second));
    const held = await heldBy(first.replica);
    assert.equal(held.length, 10);
    assert.ok(held.every(({ position }) => position >= store.start));
    assert.deepEqual(await heldBy(second.replica), held);
    await second.close();
    await first.close();
  });

  it("wait for their master while a slave acts for it, and come when it is back", async () => {
    const group = new ReplicaGroup();
    const home = master();
    const first = await group.start(home);
    await makeTopic(first.replica);
    const second = await group.start(slave(), new TestPeers());
    await until("it follows", () => isLevel(first, second) && second.replica.slaveLog.isReady);
    const startMs = systemClock.now();
    const handle = await send(first.replica, "recalled", startMs + 3_600_000);
    const dueMs = startMs + 2_500;
    for (const text of texts(20)) await send(first.replica, text, dueMs);
    await until("the slave has them", () => isLevel(first, second));
    home.disk.kill();
    group.network.kill(100);
    await until("the slave acts", () => second.replica.local !== undefined);
    assert.equal(second.replica.local?.timers, undefined);
    await until("they are due", () => systemClock.now() > dueMs + 100);
    assert.equal(deliveredCount(second.replica), 0);

    const third = await group.start(home, peersOf(second));
    const servedMs = systemClock.monotonicMs();
    await until("they come", () => deliveredCount(third.replica) === 20);
    assert.ok(systemClock.monotonicMs() - servedMs < 1_000, "they come late");
    assert.deepEqual(await delivered(third.replica), texts(20));
    await third.replica.local?.timers?.recall("t", handle);
    assert.deepEqual(await heldBy(third.replica), []);
    await second.close();
    await third.close();
  });

  it("are delivered by an elected successor within a second, each once", async () => {
    const etcd = new ModelledEtcd({ clock: systemClock, random: systemRandom });
    const group = new ReplicaGroup();
    const running = new Map<number, ElectedReplica>();
    for (const id of [1, 2, 3]) running.set(id, await group.startElected(elected(id), etcd));
    const masterOf = (): ElectedReplica | undefined =>
      [...running.values()].find(({ replica }) => replica.local?.canSend === true);
    await until("all are in sync", () => masterOf()?.role.syncState()?.inSyncIds.length === 3);
    const before = masterOf();
    assert.ok(before !== undefined);
    await makeTopic(before.replica);
    const startMs = systemClock.now();
    const recalled = await send(before.replica, "recalled", startMs + 60_000);
    const soonMs = startMs + 700;
    const laterMs = startMs + 6_000;
    for (const text of texts(30)) await send(before.replica, text, soonMs);
    await send(before.replica, "later", laterMs);
    const id = before.replica.identity().brokerId;
    etcd.cut(String(id), "both");
    before.kill();
    running.delete(id);
    await until("another one rules", () => masterOf() !== undefined);
    const servedMs = systemClock.now();
    const after = masterOf()?.replica;
    assert.ok(after !== undefined);
    await until("what was due comes", () => deliveredCount(after) === 30);
    assert.ok(systemClock.now() - Math.max(servedMs, soonMs) < 1_000, "it comes late");
    await after.local?.timers?.recall("t", recalled);
    await until("the rest comes", () => deliveredCount(after) === 31);
    assert.ok(systemClock.now() >= laterMs, "it comes early");
    assert.deepEqual(await delivered(after), [...texts(30), "later"]);
    assert.deepEqual(await heldBy(after), []);
    for (const one of running.values()) await one.close();
  });
});
