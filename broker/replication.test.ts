import assert from "node:assert/strict";
import { MqError, systemClock } from "../base/index.ts";
import type { Replica } from "./replica.ts";
import { MemoryLogger } from "./store/testkit/open-store.ts";
import { systemError } from "./store/testkit/simulated-disk.ts";
import { receive } from "./testkit/receiving.ts";
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

function code(expected: string): (error: unknown) => boolean {
  return (error) => error instanceof MqError && error.code === expected;
}

async function logOf(replica: Replica): Promise<Buffer> {
  const { store } = replica.slot.required();
  const parts: Buffer[] = [];
  for (let at: number = store.start; at < store.written; ) {
    const bytes = await store.readLog(at, { sizeMax: 65_536 });
    assert.ok(bytes !== undefined && bytes.length > 0);
    parts.push(bytes);
    at += bytes.length;
  }
  return Buffer.concat(parts);
}

async function send(replica: Replica, text: string): Promise<void> {
  const { local } = replica;
  assert.ok(local !== undefined, "it does not serve");
  await local.store.send([message(text)]);
}

function textsOf(replica: Replica): number {
  return replica.slot.required().store.queue("t", 0)?.endOffset ?? 0;
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

/** NameServers that know one other broker. */
function peersOf({ replica, port }: RunningReplica): TestPeers {
  const peers = new TestPeers();
  const { brokerId } = replica.identity();
  peers.places = [{ brokerId, grpcAddress: "", haAddress: `loop:${port}` }];
  return peers;
}

/** Receives and acknowledges, as long as there is something, at most `countMax`; gives the numbers that came. */
async function consume(replica: Replica, countMax: number): Promise<number[]> {
  const { local } = replica;
  assert.ok(local !== undefined, "it does not serve");
  const numbers: number[] = [];
  while (numbers.length < countMax) {
    const messages = await receive(local, {
      invisibleMs: 60_000,
      countMax: Math.min(32, countMax - numbers.length),
    });
    if (messages.length === 0) break;
    for (const { record, receiptHandle } of messages) {
      assert.equal(local.delivery.ack("g", "t", receiptHandle), "ok");
      numbers.push(Number(Buffer.from(record.body).toString()));
    }
  }
  return numbers;
}

/** Whether the slave has everything that the master has. */
function isLevel(one: RunningReplica, other: RunningReplica): boolean {
  const [a, b] = [one.replica.slot.current?.store, other.replica.slot.current?.store];
  return a !== undefined && b !== undefined && a.confirmed === b.confirmed && a.end === b.end;
}

describe("a group of fixed roles", () => {
  it("copies byte for byte, and goes on when the link is cut", async () => {
    const group = new ReplicaGroup();
    const first = await group.start(master());
    const second = await group.start(slave());
    for (let index = 0; index < 200; index += 1) {
      await send(first.replica, `message ${index}`);
      if (index % 50 === 20) group.network.cut(100);
    }
    await until("the slave has everything", () => isLevel(first, second));
    assert.ok((await logOf(first.replica)).equals(await logOf(second.replica)));
    assert.equal(textsOf(second.replica), 200);
    assert.equal(second.replica.standing.kind, "slave");
    await second.close();
    await first.close();
  });

  it("answers a SYNC_MASTER's sends when the slave has them, and SLAVE_NOT_AVAILABLE without one", async () => {
    const group = new ReplicaGroup();
    const first = await group.start(master({ brokerRole: "SYNC_MASTER" }));
    await assert.rejects(send(first.replica, "alone"), code("HA_NOT_AVAILABLE"));
    assert.equal(textsOf(first.replica), 1, "it is stored and may be seen");
    const second = await group.start(slave());
    await until("the slave is in sync", () => first.replica.isInSync(1));
    await Promise.all(Array.from({ length: 100 }, (_, index) => send(first.replica, `${index}`)));
    const { store } = second.replica.slot.required();
    assert.ok(store.flushed >= first.replica.slot.required().store.confirmed);
    await second.close();
    await until("the slave is gone", () => !first.replica.isInSync(1));
    await assert.rejects(send(first.replica, "alone"), code("HA_NOT_AVAILABLE"));
    await first.close();
  });

  it("answers FLUSH_SLAVE_TIMEOUT for a slave whose disk stalls, and goes on without it", async () => {
    const group = new ReplicaGroup();
    const machine = slave();
    const first = await group.start(master({ brokerRole: "SYNC_MASTER", slaveTimeout: "300" }));
    const second = await group.start(machine);
    await until("the slave is in sync", () => first.replica.isInSync(1));
    await send(first.replica, "one");
    let stalled: (() => void) | undefined;
    machine.disk.onOperation = ({ kind }) =>
      kind === "datasync" ? new Promise<void>((resolve) => (stalled = resolve)) : undefined;
    const sending = send(first.replica, "late");
    await assert.rejects(sending, code("SLAVE_PERSISTENCE_TIMEOUT"));
    assert.equal(textsOf(first.replica), 2);
    await assert.rejects(send(first.replica, "alone"), code("HA_NOT_AVAILABLE"));
    machine.disk.onOperation = undefined;
    stalled?.();
    await until("the slave is in sync again", () => first.replica.isInSync(1));
    await send(first.replica, "together");
    await second.close();
    await first.close();
  });

  it("never waits for a slave as ASYNC_MASTER", async () => {
    const group = new ReplicaGroup();
    const machine = slave();
    const first = await group.start(master());
    const second = await group.start(machine);
    await until("it follows", () => first.replica.server.slaves().length === 1);
    machine.disk.onOperation = ({ kind }) =>
      kind === "write" ? new Promise<void>(() => {}) : undefined;
    for (let index = 0; index < 50; index += 1) await send(first.replica, `${index}`);
    assert.equal(textsOf(first.replica), 50);
    machine.disk.kill();
    group.network.kill(101);
    await first.close();
    void second;
  });

  it("brings a new slave up when the beginning of the log has expired", async () => {
    const group = new ReplicaGroup();
    const first = await group.start(master({ fileReservedTime: "0", deleteWhen: everyHour }));
    const { local } = first.replica;
    assert.ok(local !== undefined);
    await local.metadata.updateTopic({ name: "t", readQueueNums: 1, writeQueueNums: 1 });
    for (let index = 0; index < 900; index += 1) {
      await local.store.append([message(`${index}`.padEnd(200))]);
    }
    await local.store.clean();
    assert.ok(local.store.start > 0, "nothing expired");
    const machine = slave();
    const second = await group.start(machine);
    await until(
      "the slave has everything",
      () => isLevel(first, second) && second.replica.slaveLog.isReady,
    );
    assert.ok((await logOf(first.replica)).equals(await logOf(second.replica)));
    assert.equal(second.replica.slot.required().metadata?.topic("t")?.readQueueNums, 1);
    assert.equal(textsOf(second.replica), 900);
    await send(first.replica, "more");
    await until("the slave has more", () => textsOf(second.replica) === 901);
    await second.close();
    const again = await group.start(machine);
    await until("it goes on", () => isLevel(first, again) && again.replica.slaveLog.isReady);
    assert.equal(again.replica.slot.required().metadata?.topic("t")?.readQueueNums, 1);
    await again.close();
    await first.close();
  });

  it("begins later when its master's log has lost what a slave with a full disk was to begin with", async () => {
    const group = new ReplicaGroup();
    const first = await group.start(master({ fileReservedTime: "0", deleteWhen: everyHour }));
    const { local } = first.replica;
    assert.ok(local !== undefined);
    await local.metadata.updateTopic({ name: "t", readQueueNums: 1, writeQueueNums: 1 });
    const fill = async (): Promise<void> => {
      for (let index = 0; index < 900; index += 1) {
        await local.store.append([message(`${index}`.padEnd(200))]);
      }
    };
    await fill();
    await local.store.clean();
    await fill();
    const start = local.store.start;
    assert.ok(start > 0, "nothing expired");
    const home = slave({ cleanResourceInterval: "100" });
    let isFull = true;
    let failures = 0;
    home.disk.onOperation = ({ kind, path }) => {
      if (!isFull || kind !== "write" || !path.startsWith("/data/commitlog/")) return;
      failures += 1;
      throw systemError("ENOSPC", "full");
    };
    const second = await group.start(home);
    await until("the slave has begun in vain", () => failures > 0);
    await local.store.clean();
    assert.ok(local.store.start > start, "nothing more expired");
    isFull = false;
    await until(
      "the slave has everything",
      () => isLevel(first, second) && second.replica.slaveLog.isReady,
    );
    assert.equal(second.replica.slot.required().store.start, local.store.start);
    assert.equal(textsOf(second.replica), 1_800);
    await second.close();
    await first.close();
  });

  it("follows with one state when the slave's disk let it begin at the third time only", async () => {
    const group = new ReplicaGroup();
    const first = await group.start(master());
    const { local } = first.replica;
    assert.ok(local !== undefined);
    await local.metadata.updateTopic({ name: "t", readQueueNums: 1, writeQueueNums: 1 });
    const home = slave();
    let failures = 0;
    home.disk.onOperation = ({ kind, path }) => {
      if (kind !== "write" || path !== "/data/flushed" || failures === 2) return;
      failures += 1;
      throw systemError("ENOSPC", "full");
    };
    const second = await group.start(home);
    await until("it follows", () => isLevel(first, second) && second.replica.slaveLog.isReady);
    assert.equal(failures, 2);
    assert.ok(second.replica.slot.current?.metadata?.topic("t") !== undefined);
    await second.close();
    await first.close();
  });

  it("lets a slave act while the master is gone, and hands its progress back before the master serves", async () => {
    const group = new ReplicaGroup();
    const peers = new TestPeers();
    const home = master();
    const first = await group.start(home);
    const { local } = first.replica;
    assert.ok(local !== undefined);
    await local.metadata.updateTopic({ name: "t", readQueueNums: 1, writeQueueNums: 1 });
    await local.metadata.updateGroup({ name: "g" });
    for (let index = 0; index < 100; index += 1) await send(first.replica, `${index}`);
    const second = await group.start(slave(), peers);
    await until(
      "the slave has everything",
      () => isLevel(first, second) && second.replica.slaveLog.isReady,
    );
    peers.listed = { brokerId: 0, grpcAddress: "", haAddress: "loop:100" };
    home.disk.kill();
    group.network.kill(100);
    await until("the link is down", () => second.replica.slaveLog.word === undefined);
    assert.equal(second.replica.standing.kind, "slave");
    peers.listed = undefined;
    await until("the slave acts", () => second.replica.local !== undefined);
    assert.equal(second.replica.standing.kind, "acting");
    assert.equal(second.replica.local?.canSend, false);
    const acked = await consume(second.replica, 40);
    assert.equal(acked.length, 40);

    const third = await group.start(home, peersOf(second));
    assert.equal(second.replica.local, undefined, "two of them serve");
    assert.ok(second.replica.overlay.isEmpty);
    const rest = await consume(third.replica, 100);
    assert.deepEqual(
      [...acked, ...rest].sort((a, b) => a - b),
      Array.from({ length: 100 }, (_, index) => index),
    );
    await second.close();
    await third.close();
  });

  it("gives at an acting slave also what the master had no time left to call confirmed", async () => {
    const group = new ReplicaGroup();
    const first = await group.start(master());
    await first.replica.local?.metadata.updateTopic({
      name: "t",
      readQueueNums: 1,
      writeQueueNums: 1,
    });
    const second = await group.start(slave(), new TestPeers());
    await until("the slave follows", () => isLevel(first, second));
    const { store } = second.replica.slot.required();
    await send(first.replica, "confirmed at the master");
    await until("the slave has it", () => store.written > store.confirmed);
    group.network.kill(100);
    await first.close();
    await until("the slave acts", () => second.replica.local !== undefined);
    assert.equal(textsOf(second.replica), 1);
    await second.close();
  });

  it("lets the next slave go on where the acting one was, when that dies too", async () => {
    const group = new ReplicaGroup();
    const first = await group.start(master());
    const { local } = first.replica;
    assert.ok(local !== undefined);
    await local.metadata.updateTopic({ name: "t", readQueueNums: 1, writeQueueNums: 1 });
    await local.metadata.updateGroup({ name: "g" });
    for (let index = 0; index < 60; index += 1) await send(first.replica, `${index}`);
    const [onePeers, twoPeers] = [new TestPeers(), new TestPeers()];
    const one = await group.start(slave(), onePeers);
    const two = await group.start(slave({ brokerId: "2", haListenPort: "102" }), twoPeers);
    for (const other of [one, two]) {
      await until(
        "the slave has everything",
        () => isLevel(first, other) && other.replica.slaveLog.isReady,
      );
    }
    onePeers.places = peersOf(two).places;
    twoPeers.places = peersOf(one).places;
    await first.close();
    await until("the first slave acts", () => one.replica.local !== undefined);
    assert.equal(two.replica.local, undefined, "two of them act");
    const acked = await consume(one.replica, 20);
    await until(
      "the other one has a copy",
      () => [...two.replica.overlay.noted.all()][0]?.cursor === 20,
    );
    await one.close();
    twoPeers.places = [];
    await until("the second slave acts", () => two.replica.local !== undefined);
    const rest = await consume(two.replica, 60);
    const numbers = [...acked, ...rest].sort((a, b) => a - b);
    assert.deepEqual(
      numbers,
      Array.from({ length: 60 }, (_, index) => index),
    );
    await two.close();
  });

  it("takes over what only the slave has, after a power cut or with a new disk", async () => {
    for (const isNewDisk of [false, true]) {
      const group = new ReplicaGroup();
      const home = master({ brokerRole: "SYNC_MASTER", flushDiskType: "ASYNC_FLUSH" });
      const first = await group.start(home);
      const second = await group.start(slave({ flushDiskType: "ASYNC_FLUSH" }));
      await until("the slave is in sync", () => first.replica.isInSync(1));
      for (let index = 0; index < 50; index += 1) await send(first.replica, `${index}`);
      home.disk.cutPower("lost", { next: () => 0, bytes: (count) => Buffer.alloc(count) });
      group.network.kill(100);
      const machine = isNewDisk ? master({ brokerRole: "SYNC_MASTER" }) : home;
      if (!isNewDisk) await machine.database().destroy();
      const third = await group.start(machine, peersOf(second));
      assert.equal(textsOf(third.replica), 50, `new disk: ${isNewDisk}`);
      await until("the slave follows again", () => third.replica.isInSync(1));
      await send(third.replica, "more");
      await until("they are level", () => isLevel(third, second));
      assert.ok((await logOf(third.replica)).equals(await logOf(second.replica)));
      await second.close();
      await third.close();
    }
  });

  it("copies from a slave that was empty when it began to follow, and does so still", async () => {
    const group = new ReplicaGroup();
    const first = await group.start(master());
    const second = await group.start(slave());
    for (let index = 0; index < 50; index += 1) await send(first.replica, `${index}`);
    await until("they are level", () => isLevel(first, second));
    const third = await group.start(master({ haListenPort: "102" }), peersOf(second));
    assert.equal(textsOf(third.replica), 50);
    await third.close();
    await second.close();
    await first.close();
  });

  it("starts without its dead slave, says so, and cuts nobody's log when that comes back longer", async () => {
    const group = new ReplicaGroup();
    const logger = new MemoryLogger();
    group.logger = logger;
    const home = master({ flushDiskType: "ASYNC_FLUSH", preOnlineTimeout: "200" });
    const away = slave({ flushDiskType: "ASYNC_FLUSH" });
    const first = await group.start(home);
    const second = await group.start(away);
    for (let index = 0; index < 50; index += 1) await send(first.replica, `${index}`);
    await until("the slave has everything", () => isLevel(first, second));
    await second.close();
    home.disk.cutPower("lost", { next: () => 0, bytes: (count) => Buffer.alloc(count) });
    await home.database().destroy();
    group.network.kill(100);
    const peers = new TestPeers();
    peers.places = [{ brokerId: 1, grpcAddress: "", haAddress: "loop:101" }];
    const third = await group.start(home, peers);
    assert.ok(logger.lines.some(({ message }) => message.startsWith("STARTING WITHOUT")));
    await send(third.replica, "new");
    const before = textsOf(third.replica);
    assert.ok(before < 50);
    const fourth = await group.start(away);
    await until("it is said", () =>
      logger.lines.some(({ fields }) => String(fields["reason"]).includes("Nothing is cut")),
    );
    assert.equal(textsOf(fourth.replica), 50);
    await fourth.close();
    await third.close();
  });

  it("does not start when logs have diverged, and names both", async () => {
    const group = new ReplicaGroup();
    const first = await group.start(master());
    await send(first.replica, "one");
    const machine = slave();
    const second = await group.start(machine);
    await until("the slave has everything", () => isLevel(first, second));
    await first.close();
    const lonely = await new ReplicaGroup().start(master());
    await send(lonely.replica, "other");
    await send(lonely.replica, "other");
    await lonely.close();
    const stranger = new Machine({ haListenPort: "100" });
    const alone = await new ReplicaGroup().start(stranger);
    await send(alone.replica, "other");
    await alone.close();
    await assert.rejects(
      group.start(stranger, peersOf(second)),
      (error: unknown) =>
        error instanceof MqError &&
        error.code === "CORRUPT" &&
        /replica 1 at loop:101/.test(error.message),
    );
    await second.close();
  });

  it("refuses a second master of the same name, naming the first", async () => {
    const group = new ReplicaGroup();
    const first = await group.start(master());
    await assert.rejects(
      group.start(master({ haListenPort: "102" }), peersOf(first)),
      (error: unknown) =>
        error instanceof MqError && /live master already.*loop:100/.test(error.message),
    );
    await first.close();
  });
});
