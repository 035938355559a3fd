import assert from "node:assert/strict";
import { systemClock, systemRandom } from "../base/index.ts";
import { ModelledEtcd } from "./ha/election/testkit/modelled-etcd.ts";
import { receive } from "./testkit/receiving.ts";
import { type ElectedReplica, Machine, message, ReplicaGroup } from "./testkit/replica-group.ts";

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 15_000;
  while (!condition()) {
    if (systemClock.monotonicMs() > deadlineMs) assert.fail(`never: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const machine = (id: number, settings = {}): Machine =>
  new Machine({
    enableControllerMode: "true",
    controllerAddr: "etcd:2379",
    controllerLeaseSeconds: "1",
    brokerRole: "SYNC_MASTER",
    brokerId: String(id),
    haListenPort: String(100 + id),
    ...settings,
  });

interface Scene {
  readonly group: ReplicaGroup;
  readonly etcd: ModelledEtcd;
  readonly machines: readonly Machine[];
  readonly running: Map<number, ElectedReplica>;
}

async function scene(settings = {}): Promise<Scene> {
  const group = new ReplicaGroup();
  const etcd = new ModelledEtcd({ clock: systemClock, random: systemRandom });
  const machines = [machine(1, settings), machine(2, settings), machine(3, settings)];
  const running = new Map<number, ElectedReplica>();
  for (const [index, one] of machines.entries()) {
    running.set(index + 1, await group.startElected(one, etcd));
  }
  return { group, etcd, machines, running };
}

function masterOf({ running }: Scene): ElectedReplica | undefined {
  return [...running.values()].find(({ replica }) => replica.standing.kind === "master");
}

/** Resolves when who served is gone: a client's connection would break. */
async function lost(at: Scene, local: ElectedReplica["replica"]["local"]): Promise<"lost"> {
  while ([...at.running.values()].some(({ replica }) => replica.local === local)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return "lost";
}

async function sendOnce(at: Scene, text: string): Promise<boolean> {
  const local = masterOf(at)?.replica.local;
  if (local === undefined) return false;
  const outcome = await Promise.race([local.store.send([message(text)]), lost(at, local)]);
  return outcome !== "lost";
}

/** Sends to whoever serves, and tries again, until one is acknowledged. */
async function send(at: Scene, text: string): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 10_000;
  for (;;) {
    try {
      if (await sendOnce(at, text)) return;
    } catch (error) {
      if (systemClock.monotonicMs() > deadlineMs) throw error;
    }
    if (systemClock.monotonicMs() > deadlineMs) assert.fail("nobody took the message");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function textsOf(replica: ElectedReplica["replica"]): Promise<string[]> {
  const { store } = replica.slot.required();
  const texts: string[] = [];
  for await (const records of store.scan(store.start)) {
    for (const record of records) {
      if (record.topic === "t") texts.push(Buffer.from(record.body).toString());
    }
  }
  return texts;
}

function kill(at: Scene, id: number): void {
  at.etcd.cut(String(id), "both");
  at.running.get(id)?.kill();
  at.running.delete(id);
}

async function end(at: Scene): Promise<void> {
  for (const one of at.running.values()) await one.close();
}

describe("a group that elects its master", () => {
  it("elects one, takes all into the in-sync set, and acknowledges what all of them have", async () => {
    const at = await scene();
    await until("somebody rules", () => masterOf(at)?.replica.local !== undefined);
    await until("all are in sync", () => masterOf(at)?.role.syncState()?.inSyncIds.length === 3);
    await Promise.all(Array.from({ length: 100 }, (_, index) => send(at, `${index}`)));
    const confirmed = masterOf(at)?.replica.slot.required().store.confirmed ?? 0;
    for (const { replica } of at.running.values()) {
      assert.ok(replica.slot.required().store.flushed >= confirmed);
    }
    await end(at);
  });

  it("goes on with another master when one is killed, and loses nothing that was acknowledged", async () => {
    const at = await scene();
    const acknowledged: string[] = [];
    for (let round = 0; round < 3; round += 1) {
      await until("all are in sync", () => masterOf(at)?.role.syncState()?.inSyncIds.length === 3);
      for (let index = 0; index < 20; index += 1) {
        await send(at, `${round}/${index}`);
        acknowledged.push(`${round}/${index}`);
      }
      const master = masterOf(at);
      assert.ok(master !== undefined);
      const id = master.replica.identity().brokerId;
      const flight = Array.from({ length: 20 }, (_, index) => send(at, `${round}/flight ${index}`));
      kill(at, id);
      await Promise.all(flight);
      acknowledged.push(...Array.from({ length: 20 }, (_, index) => `${round}/flight ${index}`));
      at.etcd.heal(String(id));
      const again = at.machines[id - 1];
      assert.ok(again !== undefined);
      at.running.set(id, await at.group.startElected(again, at.etcd));
    }
    await until("all are in sync", () => masterOf(at)?.role.syncState()?.inSyncIds.length === 3);
    const end1 = masterOf(at)?.replica.slot.required().store.end ?? 0;
    await until("all are level", () =>
      [...at.running.values()].every(
        ({ replica }) => replica.slot.current?.store.confirmed === end1,
      ),
    );
    for (const { replica } of at.running.values()) {
      const kept = new Set(await textsOf(replica));
      assert.deepEqual(
        acknowledged.filter((text) => !kept.has(text)),
        [],
      );
    }
    await end(at);
  });

  it("cuts what a former master alone had, and keeps the bytes in a side file", async () => {
    const at = await scene();
    await until("all are in sync", () => masterOf(at)?.role.syncState()?.inSyncIds.length === 3);
    await send(at, "everywhere");
    const former = masterOf(at);
    assert.ok(former !== undefined);
    const id = former.replica.identity().brokerId;
    // Nobody reaches it, and it reaches etcd no more.
    at.etcd.cut(String(id), "both");
    at.group.network.kill(100 + id);
    const { store } = former.replica.slot.required();
    const alone = store.send([message("only here")]);
    await assert.rejects(alone);
    await until("another one rules", () => {
      const master = masterOf(at);
      return master !== undefined && master !== former;
    });
    at.etcd.heal(String(id));
    await until("it follows and has cut its log", () => former.replica.slaveLog.word !== undefined);
    await send(at, "after");
    const end1 = masterOf(at)?.replica.slot.required().store.end ?? 0;
    await until("it is level", () => former.replica.slot.current?.store.confirmed === end1);
    assert.deepEqual(await textsOf(former.replica), ["everywhere", "after"]);
    const disk = at.machines[id - 1]?.disk;
    const [sideFile] = disk?.paths().filter((path) => path.includes("/cut/")) ?? [];
    assert.ok(sideFile !== undefined && disk !== undefined);
    assert.ok(disk.bytesOf(sideFile).includes("only here"));
    await end(at);
  });

  it("gives the group away while its disk is full, and follows when there is space again", async () => {
    const at = await scene();
    await until("all are in sync", () => masterOf(at)?.role.syncState()?.inSyncIds.length === 3);
    await send(at, "before");
    const former = masterOf(at);
    assert.ok(former !== undefined);
    const disk = at.machines[former.replica.identity().brokerId - 1]?.disk;
    assert.ok(disk !== undefined);
    disk.capacityBytes = 0;
    await assert.rejects(former.replica.slot.required().store.send([message("no space")]));
    await until("another one rules", () => {
      const master = masterOf(at);
      return master !== undefined && master !== former && master.replica.local !== undefined;
    });
    await send(at, "without it");
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    await until(
      "it is in sync again",
      () => masterOf(at)?.role.syncState()?.inSyncIds.length === 3,
    );
    assert.deepEqual(await textsOf(former.replica), ["before", "without it"]);
    await end(at);
  });

  it("hands over in well under a second, without a failed send", async () => {
    const at = await scene();
    await until("all are in sync", () => masterOf(at)?.role.syncState()?.inSyncIds.length === 3);
    const before = masterOf(at);
    assert.ok(before !== undefined);
    const id = before.replica.identity().brokerId;
    const target = (id % 3) + 1;
    const startMs = systemClock.monotonicMs();
    await before.role.handOver(target);
    await until("the other one serves", () => masterOf(at)?.replica.local !== undefined);
    assert.equal(masterOf(at)?.replica.identity().brokerId, target);
    assert.ok(systemClock.monotonicMs() - startMs < 1_000);
    await send(at, "after");
    await end(at);
  });

  it("refuses sends below minInSyncReplicas, before anything is written", async () => {
    const at = await scene();
    await until("all are in sync", () => masterOf(at)?.role.syncState()?.inSyncIds.length === 3);
    const master = masterOf(at);
    assert.ok(master !== undefined);
    for (const id of [1, 2, 3]) if (id !== master.replica.identity().brokerId) kill(at, id);
    await until("it is alone", () => master.role.syncState()?.inSyncIds.length === 1);
    const { store } = master.replica.slot.required();
    await until("it is confirmed", () => store.confirmed === store.end);
    const { end: logEnd } = store;
    await assert.rejects(store.send([message("no")]), /minInSyncReplicas wants 2/);
    assert.equal(store.end, logEnd);
    await end(at);
  });

  it("stops serving while etcd is down for longer than its lease, and goes on afterwards", async () => {
    const at = await scene();
    await until("all are in sync", () => masterOf(at)?.role.syncState()?.inSyncIds.length === 3);
    await send(at, "before");
    at.etcd.down = true;
    await until("nobody serves", () => masterOf(at) === undefined);
    at.etcd.down = false;
    await send(at, "after");
    await end(at);
  });

  it("passes on what consumers have acknowledged until its lease ended, which it could not renew", async () => {
    const at = await scene();
    await until("all are in sync", () => masterOf(at)?.role.syncState()?.inSyncIds.length === 3);
    const master = masterOf(at);
    const former = master?.replica.local;
    assert.ok(master !== undefined && former !== undefined);
    await former.metadata.updateTopic({ name: "t", readQueueNums: 1 });
    await former.metadata.updateGroup({ name: "g" });
    const texts = Array.from({ length: 2_000 }, (_, index) => message(`${index}`));
    await Promise.all(texts.map((text) => former.store.send([text])));
    at.etcd.down = true;
    const acknowledged = new Set<number>();
    while (master.replica.local === former) {
      const [next] = await receive(former, { invisibleMs: 60_000, countMax: 1 });
      assert.ok(next !== undefined, "too few messages for a lease");
      if (master.replica.local !== former) break;
      assert.equal(former.delivery.ack("g", "t", next.receiptHandle), "ok");
      acknowledged.add(next.queueOffset);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    at.etcd.cut(String(master.replica.identity().brokerId), "both");
    at.etcd.down = false;
    await until("another one rules", () => masterOf(at)?.replica.local !== undefined);
    const successor = masterOf(at)?.replica.local;
    assert.ok(successor !== undefined);
    const more = await receive(successor, { invisibleMs: 60_000 });
    assert.ok(more.length > 0);
    assert.deepEqual(
      more.map(({ queueOffset }) => queueOffset).filter((offset) => acknowledged.has(offset)),
      [],
    );
    await end(at);
  });
});
