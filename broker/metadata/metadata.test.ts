import { strict as assert } from "node:assert";
import { systemClock, systemRandom } from "../../base/index.ts";
import { memoryMetadata } from "./memory-metadata.ts";
import { Metadata, type MetadataEvent } from "./metadata.ts";
import type { MetadataChange } from "./metadata-codec.ts";

const open = (): Metadata => memoryMetadata({ clock: systemClock, random: systemRandom });

describe("Metadata", () => {
  it("makes, changes and deletes topics and groups, and tells", async () => {
    const metadata = open();
    const events: MetadataEvent[] = [];
    const stop = metadata.onChange((event) => events.push(event));
    const made = await metadata.updateTopic({ name: "t", readQueueNums: 2 });
    assert.equal(metadata.topic("t"), made);
    const changed = await metadata.updateTopic({ name: "t", readQueueNums: 4 });
    assert.equal(changed.createdAtMs, made.createdAtMs);
    await metadata.updateGroup({ name: "g" });
    assert.deepEqual([metadata.topicCount, metadata.groupCount], [1, 1]);
    await metadata.deleteTopic("t");
    await metadata.deleteGroup("g");
    assert.deepEqual([[...metadata.topics()], [...metadata.groups()]], [[], []]);
    stop();
    await metadata.updateTopic({ name: "quiet" });
    assert.deepEqual(
      events.map((event) => `${event.kind} ${event.name} ${event.config === undefined}`),
      ["topic t false", "topic t false", "group g false", "topic t true", "group g true"],
    );
  });

  it("raises its version with every change", async () => {
    const metadata = open();
    const before = metadata.version;
    await metadata.updateTopic({ name: "t" });
    assert.ok(metadata.version > before);
  });

  it("says what does not exist", async () => {
    const metadata = open();
    await assert.rejects(metadata.deleteTopic("t"), { code: "TOPIC_NOT_FOUND" });
    await assert.rejects(metadata.deleteGroup("g"), { code: "CONSUMER_GROUP_NOT_FOUND" });
  });

  it("has no more topics and groups than it may, until one is deleted", async () => {
    const bounds = { topicCountMax: 2, groupCountMax: 2 };
    const metadata = memoryMetadata({ clock: systemClock, random: systemRandom, ...bounds });
    const refused = (what: string): { code: string; message: RegExp } => ({
      code: "FORBIDDEN",
      message: new RegExp(`has 2 ${what}: no more than 2 are allowed`),
    });
    for (const name of ["a", "b"]) {
      await metadata.updateTopic({ name });
      await metadata.updateGroup({ name });
    }
    await assert.rejects(metadata.updateTopic({ name: "c" }), refused("topics"));
    await assert.rejects(metadata.updateGroup({ name: "c" }), refused("consumer groups"));
    await assert.rejects(metadata.ensureTopic({ name: "c" }), refused("topics"));
    await assert.rejects(metadata.ensureGroup({ name: "c" }), refused("consumer groups"));
    assert.deepEqual([metadata.topicCount, metadata.groupCount], [2, 2]);
    // Those that are there may change, and are found.
    assert.equal((await metadata.updateTopic({ name: "a", readQueueNums: 3 })).readQueueNums, 3);
    assert.equal((await metadata.updateGroup({ name: "a", retryMaxTimes: 3 })).retryMaxTimes, 3);
    assert.equal((await metadata.ensureTopic({ name: "b" })).name, "b");
    assert.equal((await metadata.ensureGroup({ name: "b" })).name, "b");
    await metadata.deleteTopic("a");
    await metadata.deleteGroup("a");
    assert.equal((await metadata.ensureTopic({ name: "c" })).name, "c");
    assert.equal((await metadata.ensureGroup({ name: "c" })).name, "c");
    await assert.rejects(metadata.updateTopic({ name: "a" }), refused("topics"));
    await assert.rejects(metadata.updateGroup({ name: "a" }), refused("consumer groups"));
  });

  it("ensures once for all who ask at the same time, and asks again after a failure", async () => {
    const changes: MetadataChange[] = [];
    let failure: Error | undefined = new Error("disk");
    const metadata: Metadata = new Metadata({
      clock: systemClock,
      queueEnds: () => [],
      append: async (change) => {
        await Promise.resolve();
        if (failure !== undefined) throw failure;
        changes.push(change);
        metadata.apply(change, changes.length);
      },
    });
    await assert.rejects(metadata.ensureTopic({ name: "t" }), /disk/);
    failure = undefined;
    const many = await Promise.all(
      Array.from({ length: 10 }, () => metadata.ensureTopic({ name: "t", readQueueNums: 3 })),
    );
    assert.ok(many.every((topic) => topic.readQueueNums === 3));
    await Promise.all([metadata.ensureGroup({ name: "g" }), metadata.ensureGroup({ name: "g" })]);
    assert.equal(changes.length, 2);
    const dead = await metadata.ensureDeadLetterTopic("g");
    assert.deepEqual([dead.name, dead.readQueueNums, dead.perm], ["%DLQ%g", 1, 6]);
  });

  it("has no receipt-handle key before one was made", () => {
    const metadata = new Metadata({
      clock: systemClock,
      queueEnds: () => [],
      append: () => Promise.resolve(),
    });
    assert.equal(metadata.hasMacKey, false);
    assert.throws(() => metadata.macKey, /not been made/);
    assert.equal(open().macKey.length, 32);
  });
});
