// Transactions in a group of brokers: a slave has them, an acting master leaves them alone, a successor settles and checks.
import assert from "node:assert/strict";
import { systemClock, systemRandom } from "../base/index.ts";
import { ModelledEtcd } from "./ha/election/testkit/modelled-etcd.ts";
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

function peersOf({ replica, port }: RunningReplica): TestPeers {
  const peers = new TestPeers();
  const { brokerId } = replica.identity();
  peers.places = [{ brokerId, grpcAddress: "", haAddress: `loop:${port}` }];
  return peers;
}

async function makeTopic(replica: Replica): Promise<void> {
  const { local } = replica;
  assert.ok(local !== undefined, "it does not serve");
  await local.metadata.updateTopic({ name: "t", readQueueNums: 1, messageType: "TRANSACTION" });
}

/** Sends a half message that is checked first after `ownMs`; gives its transaction id. */
async function send(replica: Replica, text: string, ownMs: number): Promise<string> {
  const { local } = replica;
  assert.ok(local?.transactions !== undefined, "it takes no half messages");
  const dueMs = local.transactions.firstCheckAtMs(ownMs);
  const draft = { ...message(text), type: RecordType.halfMessage, dueMs };
  const [appended] = await local.store.send([draft]);
  return local.transactions.idOf("t", appended?.position ?? -1);
}

async function end(
  replica: Replica,
  transactionId: string,
  resolution: "commit" | "rollback",
): Promise<void> {
  const { local } = replica;
  assert.ok(local?.transactions !== undefined, "it ends no transactions");
  await local.transactions.end({ topic: "t", messageId: "", transactionId, resolution });
}

async function visible(replica: Replica): Promise<string[]> {
  return await readQueue(replica.slot.required().store, "t");
}

function isLevel(one: RunningReplica, other: RunningReplica): boolean {
  const [a, b] = [one.replica.slot.current?.store, other.replica.slot.current?.store];
  return a !== undefined && b !== undefined && a.confirmed === b.confirmed && a.end === b.end;
}

/** A group whose producers note what they are asked about. */
class AskingGroup {
  readonly group: ReplicaGroup = new ReplicaGroup();
  readonly asked: string[] = [];
  /** Whether a producer is there. A killed broker of this process goes on asking, and must find nobody. */
  hasProducer = false;

  constructor() {
    this.group.producers = {
      canAsk: () => this.hasProducer,
      ask: ({ record }) => {
        this.asked.push(Buffer.from(record.body).toString());
        return true;
      },
    };
  }
}

describe("transactions in a group of brokers", () => {
  it("wait for their master while a slave acts for it, and are checked when it is back", async () => {
    const asking = new AskingGroup();
    const { group, asked } = asking;
    const home = new Machine({ haListenPort: "100" });
    const first = await group.start(home);
    await makeTopic(first.replica);
    const follower = { brokerRole: "SLAVE", brokerId: "1", haListenPort: "101" };
    const second = await group.start(
      new Machine({ ...follower, haMasterAddress: "loop:100" }),
      new TestPeers(),
    );
    await until("it follows", () => isLevel(first, second) && second.replica.slaveLog.isReady);
    const startMs = systemClock.now();
    const committed = await send(first.replica, "committed", 60_000);
    await send(first.replica, "orphan", 900);
    await until("the slave has them", () => isLevel(first, second));
    await first.close();
    home.disk.kill();
    group.network.kill(100);
    asking.hasProducer = true;
    await until("the slave acts", () => second.replica.local !== undefined);
    assert.equal(second.replica.local?.transactions, undefined);
    await until("a check is due", () => systemClock.now() > startMs + 1_100);
    assert.deepEqual(asked, []);

    const third = await group.start(home, peersOf(second));
    const servedMs = systemClock.monotonicMs();
    await until("the check comes", () => asked.length === 1);
    assert.ok(systemClock.monotonicMs() - servedMs < 1_000, "it comes late");
    await end(third.replica, committed, "commit");
    assert.deepEqual([asked, await visible(third.replica)], [["orphan"], ["committed"]]);
    await second.close();
    await third.close();
  });

  it("are settled and checked by an elected successor within a second", async () => {
    const etcd = new ModelledEtcd({ clock: systemClock, random: systemRandom });
    const asking = new AskingGroup();
    const { group, asked } = asking;
    const running = new Map<number, ElectedReplica>();
    for (const id of [1, 2, 3]) running.set(id, await group.startElected(elected(id), etcd));
    const masterOf = (): ElectedReplica | undefined =>
      [...running.values()].find(({ replica }) => replica.local?.canSend === true);
    await until("all are in sync", () => masterOf()?.role.syncState()?.inSyncIds.length === 3);
    const before = masterOf();
    assert.ok(before !== undefined);
    await makeTopic(before.replica);
    const ended = await send(before.replica, "ended before", 60_000);
    const [good, bad] = [
      await send(before.replica, "good", 60_000),
      await send(before.replica, "bad", 60_000),
    ];
    await send(before.replica, "orphan", 700);
    await end(before.replica, ended, "commit");
    const id = before.replica.identity().brokerId;
    etcd.cut(String(id), "both");
    before.kill();
    running.delete(id);
    await until("another one rules", () => masterOf() !== undefined);
    const servedMs = systemClock.monotonicMs();
    asking.hasProducer = true;
    const after = masterOf()?.replica;
    assert.ok(after !== undefined);
    await end(after, good, "commit");
    await end(after, bad, "rollback");
    await until("the orphan is asked about", () => asked.length === 1);
    assert.ok(systemClock.monotonicMs() - servedMs < 1_700, "it comes late");
    assert.deepEqual(asked, ["orphan"]);
    await assert.rejects(end(after, ended, "commit"), { code: "INVALID_TRANSACTION_ID" });
    assert.deepEqual(await visible(after), ["ended before", "good"]);
    for (const one of running.values()) await one.close();
  });
});
