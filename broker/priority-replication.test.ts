// Messages with priorities in a group of brokers: an acting master and a successor deliver the highest first, too.
import assert from "node:assert/strict";
import { limits, systemClock, systemRandom } from "../base/index.ts";
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

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 15_000;
  while (!condition()) {
    if (systemClock.monotonicMs() > deadlineMs) assert.fail(`never: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function makeTopicAndGroup({ local }: Replica): Promise<void> {
  assert.ok(local !== undefined, "it does not serve");
  await local.metadata.updateTopic({ name: "t", readQueueNums: 1, messageType: "PRIORITY" });
  await local.metadata.updateGroup({ name: "g" });
}

async function send({ local }: Replica, ...priorities: number[]): Promise<void> {
  assert.ok(local !== undefined, "it does not serve");
  const drafts = priorities.map((queueId) => ({ ...message(String(queueId)), queueId }));
  await local.store.send(drafts);
}

/** Priorities in the order in which they come; all are acknowledged. */
async function receive({ local }: Replica, countMax: number): Promise<number[]> {
  assert.ok(local !== undefined, "it does not serve");
  const messages = await receiveFrom(local, { invisibleMs: 60_000, countMax });
  return messages.map(({ record, receiptHandle }) => {
    assert.equal(local.delivery.ack("g", "t", receiptHandle), "ok");
    return Number(Buffer.from(record.body).toString());
  });
}

/** As `receive`, until so many have come: one answer ends where messages have to be read from files. */
async function receiveAll(replica: Replica, count: number): Promise<number[]> {
  const priorities: number[] = [];
  while (priorities.length < count) {
    priorities.push(...(await receive(replica, count - priorities.length)));
  }
  return priorities;
}

function isLevel(one: RunningReplica, other: RunningReplica): boolean {
  const [a, b] = [one.replica.slot.current?.store, other.replica.slot.current?.store];
  return a !== undefined && b !== undefined && a.confirmed === b.confirmed && a.end === b.end;
}

describe("priorities in a group of brokers", () => {
  it("are kept by a slave that acts, and by the master when it is back", async () => {
    const group = new ReplicaGroup();
    const home = new Machine({ haListenPort: "100" });
    const first = await group.start(home);
    await makeTopicAndGroup(first.replica);
    const follower = { brokerRole: "SLAVE", brokerId: "1", haListenPort: "101" };
    const second = await group.start(
      new Machine({ ...follower, haMasterAddress: "loop:100" }),
      new TestPeers(),
    );
    await until("it follows", () => isLevel(first, second) && second.replica.slaveLog.isReady);
    await send(first.replica, 1, 200, 7);
    assert.deepEqual(await receive(first.replica, 1), [200]);
    await send(first.replica, 1, 9, limits.priorityMax, 7);
    await until("the slave has them", () => isLevel(first, second));
    await first.close();
    home.disk.kill();
    group.network.kill(100);
    await until("the slave acts", () => second.replica.local !== undefined);
    assert.deepEqual(await receiveAll(second.replica, 3), [limits.priorityMax, 9, 7]);

    const peers = new TestPeers();
    const { brokerId } = second.replica.identity();
    peers.places = [{ brokerId, grpcAddress: "", haAddress: `loop:${second.port}` }];
    const third = await group.start(home, peers);
    await send(third.replica, 2);
    assert.deepEqual(await receiveAll(third.replica, 4), [7, 2, 1, 1]);
    await second.close();
    await third.close();
  });

  it("are kept by an elected successor", async () => {
    const etcd = new ModelledEtcd({ clock: systemClock, random: systemRandom });
    const group = new ReplicaGroup();
    const running = new Map<number, ElectedReplica>();
    for (const id of [1, 2, 3]) running.set(id, await group.startElected(elected(id), etcd));
    const masterOf = (): ElectedReplica | undefined =>
      [...running.values()].find(({ replica }) => replica.local?.canSend === true);
    await until("all are in sync", () => masterOf()?.role.syncState()?.inSyncIds.length === 3);
    const before = masterOf();
    assert.ok(before !== undefined);
    await makeTopicAndGroup(before.replica);
    await send(before.replica, 3, 0, 100, 3, 20);
    const id = before.replica.identity().brokerId;
    etcd.cut(String(id), "both");
    before.kill();
    running.delete(id);
    await until("another one rules", () => masterOf() !== undefined);
    const after = masterOf()?.replica;
    assert.ok(after !== undefined);
    await send(after, 50);
    assert.deepEqual(await receiveAll(after, 6), [100, 50, 20, 3, 3, 0]);
    for (const one of running.values()) await one.close();
  });
});
