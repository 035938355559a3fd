// Delivery over the real store and state, on a real disk.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rocketmq } from "@cometmq/proto";
import { silentLogger, systemClock, systemRandom } from "../../base/index.ts";
import { levelFolder, StateStore } from "../metadata/index.ts";
import { nodeDisk, RecordType, Store, tagHash } from "../store/index.ts";
import { Delivery } from "./delivery.ts";
import { filterType, parseFilter } from "./filter.ts";
import type { Delivered, ReceiveRequest } from "./request.ts";

const nothing = new Uint8Array(0);

class Broker {
  readonly store: Store;
  readonly state: StateStore;
  readonly delivery: Delivery;

  constructor(parts: { store: Store; state: StateStore; delivery: Delivery }) {
    this.store = parts.store;
    this.state = parts.state;
    this.delivery = parts.delivery;
  }

  static async open(folder: string): Promise<Broker> {
    const logger = silentLogger;
    const common = { clock: systemClock, random: systemRandom, logger };
    const store = await Store.open({
      ...common,
      disk: nodeDisk,
      folder,
      tailCacheSizeBytes: 65_536,
      flushDiskType: "ASYNC_FLUSH",
    });
    const database = levelFolder(nodeDisk, join(folder, "state"));
    const state = await StateStore.open({ ...common, database, store });
    store.restoreQueues(state.queueBounds());
    await store.begin();
    await state.begin();
    const delivery = await Delivery.open({
      ...common,
      store,
      state,
      metadata: state.metadata,
      brokerName: "broker-a",
      isAlive: () => true,
    });
    return new Broker({ store, state, delivery });
  }

  async send(id: string, tag: string): Promise<void> {
    const properties = { messageId: id, tag };
    await this.store.append([
      {
        type: RecordType.message,
        topic: "t",
        queueId: id.length % 4,
        systemProperties: rocketmq.v2.SystemProperties.encode(properties).finish(),
        userProperties: nothing,
        body: Buffer.from(id.padEnd(1_000)),
        tagHash: tagHash(tag),
      },
    ]);
  }

  receive(wish: Partial<ReceiveRequest> = {}): Promise<readonly Delivered[]> {
    const topic = this.state.metadata.topic("t");
    const group = this.state.metadata.group("g");
    assert.ok(topic && group);
    return this.delivery.receive({
      queueId: -1,
      countMax: 32,
      invisibleMs: 600_000,
      autoRenew: false,
      filter: parseFilter(filterType.tag, "a"),
      clientId: "c",
      pollingMs: 0,
      signal: new AbortController().signal,
      isClientGone: () => false,
      ...wish,
      topic,
      group,
    });
  }

  async close(): Promise<void> {
    await this.delivery.close();
    await this.state.close();
    await this.store.close();
  }
}

describe("delivery over the real store", () => {
  let folder = "";

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-delivery-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("delivers from files and memory, and goes on after a restart where it was", async () => {
    const count = 600;
    let broker = await Broker.open(folder);
    await broker.state.metadata.updateTopic({ name: "t", readQueueNums: 4 });
    await broker.state.metadata.updateGroup({ name: "g", retryMaxTimes: 0 });
    for (let i = 0; i < count; i++) {
      await broker.send(`m${"x".repeat(i % 7)}${i}`, i % 3 === 0 ? "b" : "a");
    }
    const bodies = new Set<string>();
    const take = async (messages: readonly Delivered[]): Promise<void> => {
      for (const message of messages) {
        const body = Buffer.from(message.record.body).toString().trim();
        assert.ok(!bodies.has(body), body);
        bodies.add(body);
        assert.equal(broker.delivery.ack("g", "t", message.receiptHandle), "ok");
      }
    };
    while (bodies.size < 200) await take(await broker.receive());
    const kept = await broker.receive({ countMax: 5 });
    const [first] = await broker.receive({ countMax: 1 });
    assert.ok(first && kept.length > 0);
    const { receiptHandle } = first;
    await broker.delivery.deadLetter({ group: "g", topic: "t", receiptHandle, messageId: "" });
    await broker.close();

    broker = await Broker.open(folder);
    assert.equal(broker.delivery.ack("g", "t", receiptHandle), "ok");
    assert.equal(broker.store.queue("%DLQ%g", 0)?.endOffset, 1);
    await take(kept);
    for (let batch = await broker.receive(); batch.length > 0; batch = await broker.receive()) {
      await take(batch);
    }
    assert.equal(bodies.size, 399);
    const held = broker.receive({ pollingMs: 10_000 });
    await broker.send("last", "a");
    await take(await held);
    assert.ok(broker.delivery.progress("g").every((lane) => lane.pendingCount === 0));
    await broker.close();
  });
});
