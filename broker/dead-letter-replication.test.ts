// Dead letters in a group of brokers: written with the end of their originals, at the slaves as at the master, so that a
// successor has each of them once and delivers no original again.
import assert from "node:assert/strict";
import { systemClock, systemRandom } from "../base/index.ts";
import type { Delivered } from "./delivery/index.ts";
import { Gate } from "./delivery/testkit/fake-clock.ts";
import { ModelledEtcd } from "./ha/election/testkit/modelled-etcd.ts";
import type { LocalParts } from "./replica.ts";
import { readQueue } from "./store/testkit/open-store.ts";
import { receive as receiveFrom } from "./testkit/receiving.ts";
import {
  type ElectedReplica,
  elected,
  Machine,
  message,
  ReplicaGroup,
} from "./testkit/replica-group.ts";

const deadLetters = "%DLQ%g";
const invisibleMs = 100;

/** Three brokers that elect, of which one rules and two are in sync. */
class Brokers {
  readonly #etcd = new ModelledEtcd({ clock: systemClock, random: systemRandom });
  readonly #group = new ReplicaGroup();
  readonly #running = new Map<number, ElectedReplica>();
  readonly #machines: readonly Machine[] = [1, 2, 3].map(elected);

  static async open(): Promise<Brokers> {
    const brokers = new Brokers();
    for (const [index, machine] of brokers.#machines.entries()) {
      const replica = await brokers.#group.startElected(machine, brokers.#etcd);
      brokers.#running.set(index + 1, replica);
    }
    await until(
      "all are in sync",
      () => brokers.#ruler()?.role.syncState()?.inSyncIds.length === 3,
    );
    return brokers;
  }

  /** What serves now. */
  get local(): LocalParts {
    const local = this.#ruler()?.replica.local;
    assert.ok(local !== undefined, "nobody rules");
    return local;
  }

  /** The disks of slaves take nothing until `let` is called: what the master writes is not confirmed. */
  holdSlaves(): { let(): void } {
    const ruler = this.#rulerId();
    const gate = new Gate();
    for (const [index, { disk }] of this.#machines.entries()) {
      if (index + 1 === ruler) continue;
      disk.onOperation = ({ kind }) => (kind === "write" ? gate.opened : undefined);
    }
    return {
      let: () => {
        for (const { disk } of this.#machines) disk.onOperation = undefined;
        gate.open();
      },
    };
  }

  /** The master is gone, and another one rules. */
  async promote(): Promise<void> {
    const id = this.#rulerId();
    this.#etcd.cut(String(id), "both");
    this.#running.get(id)?.kill();
    this.#running.delete(id);
    await until("another one rules", () => this.#ruler() !== undefined);
  }

  async close(): Promise<void> {
    for (const one of this.#running.values()) await one.close();
  }

  #ruler(): ElectedReplica | undefined {
    return [...this.#running.values()].find(({ replica }) => replica.local?.canSend === true);
  }

  #rulerId(): number {
    return this.#ruler()?.replica.identity().brokerId ?? 0;
  }
}

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 15_000;
  while (!condition()) {
    if (systemClock.monotonicMs() > deadlineMs) assert.fail(`never: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Lets time pass until what was out is visible again. */
async function untilVisible(): Promise<void> {
  const atMs = systemClock.monotonicMs() + 2 * invisibleMs;
  await until("time has passed", () => systemClock.monotonicMs() > atMs);
}

function receive(local: LocalParts): Promise<readonly Delivered[]> {
  return receiveFrom(local, { invisibleMs });
}

/** Sends a message, which has its only delivery; gives that once its invisible time is over. */
async function spend({ local }: Brokers): Promise<Delivered> {
  await local.metadata.updateTopic({ name: "t", readQueueNums: 1 });
  await local.metadata.updateGroup({ name: "g", retryMaxTimes: 0 });
  await local.store.send([message("dying")]);
  const [last] = await receive(local);
  assert.ok(last !== undefined, "nothing came");
  await local.delivery.tracking.written();
  await untilVisible();
  return last;
}

async function deadLettersOf({ local }: Brokers): Promise<readonly string[]> {
  if (local.metadata.topic(deadLetters) === undefined) return [];
  return await readQueue(local.store, deadLetters);
}

describe("dead letters in a group of brokers", function () {
  this.timeout(30_000);

  it("are decided while slaves have not written them yet: nothing changes that, and a successor has them once", async () => {
    const brokers = await Brokers.open();
    const dying = await spend(brokers);
    const { delivery, store, metadata } = brokers.local;
    await metadata.ensureDeadLetterTopic("g");
    const slaves = brokers.holdSlaves();
    const { end } = store;
    assert.deepEqual(await receive(brokers.local), []);
    await until("the master has written it", () => store.written > end);
    const names = { group: "g", topic: "t", receiptHandle: dying.receiptHandle };
    assert.equal(delivery.ack("g", "t", dying.receiptHandle), "invalid");
    assert.equal(delivery.changeInvisible({ ...names, invisibleMs: 0 }), "invalid");
    assert.deepEqual(await deadLettersOf(brokers), []);
    slaves.let();
    await until("it is confirmed", () => delivery.counters.deadLettered === 1);
    assert.equal(delivery.ack("g", "t", dying.receiptHandle), "invalid");
    assert.deepEqual(await deadLettersOf(brokers), ["dying"]);
    await brokers.promote();
    await untilVisible();
    assert.deepEqual(await receive(brokers.local), []);
    assert.deepEqual(await deadLettersOf(brokers), ["dying"]);
    assert.equal(brokers.local.delivery.progress("g")[0]?.pendingCount, 0);
    await brokers.close();
  });

  it("come once when the master is gone before its slaves had them", async () => {
    const brokers = await Brokers.open();
    await spend(brokers);
    await brokers.local.metadata.ensureDeadLetterTopic("g");
    const slaves = brokers.holdSlaves();
    const { store } = brokers.local;
    const { end } = store;
    assert.deepEqual(await receive(brokers.local), []);
    await until("the master has written it", () => store.written > end);
    const promoting = brokers.promote();
    slaves.let();
    await promoting;
    await untilVisible();
    // Either the successor has it, or it makes it now.
    assert.deepEqual(await receive(brokers.local), []);
    const { delivery } = brokers.local;
    await until("it is done", () => delivery.progress("g")[0]?.pendingCount === 0);
    assert.deepEqual(await receive(brokers.local), []);
    assert.deepEqual(await deadLettersOf(brokers), ["dying"]);
    await brokers.close();
  });
});
