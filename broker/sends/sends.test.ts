import assert from "node:assert/strict";
import { rocketmq } from "@cometmq/proto";
import { limits, MqError, position } from "../../base/index.ts";
import { deadLetterTopic } from "../metadata/index.ts";
import {
  type Quorum,
  type RecordDraft,
  RecordType,
  type Store,
  type StoreOptions,
  sentFlag,
} from "../store/index.ts";
import { ManualClock } from "../store/testkit/manual-clock.ts";
import { beginStore, deferred, openStore, scanAll } from "../store/testkit/open-store.ts";
import { SimulatedDisk, systemError } from "../store/testkit/simulated-disk.ts";
import { seededHash } from "./id-hash.ts";
import { recallSends } from "./recall-sends.ts";
import { sendOnce } from "./repeated-send.ts";
import { SendWindow, type SendWindowOptions } from "./send-window.ts";

const { SystemProperties } = rocketmq.v2;

function idOf(number: number): string {
  return `01${number.toString(16).toUpperCase().padStart(32, "0")}`;
}

interface Message {
  readonly messageId: string;
  readonly body?: string;
  readonly messageGroup?: string;
  readonly messageType?: number;
  readonly queueId?: number;
  readonly topic?: string;
}

function draftOf(message: Message, flags: number = sentFlag): RecordDraft {
  const { messageId, body = "hello", messageGroup = "", messageType = 1, queueId = 0 } = message;
  return {
    type: RecordType.message,
    flags,
    topic: message.topic ?? "t",
    queueId,
    systemProperties: SystemProperties.encode({
      messageId,
      messageType,
      ...(messageGroup === "" ? {} : { messageGroup }),
    }).finish(),
    userProperties: new Uint8Array(0),
    body: Buffer.from(body),
  };
}

const options: SendWindowOptions = {
  countMax: 1_000,
  ageMs: 60_000,
  hash: seededHash({ seeds: [1, 2], takesAnyId: false }),
};

/** A store with a window beside it, as a master has. */
class Scene {
  readonly disk: SimulatedDisk;
  readonly clock: ManualClock;
  readonly store: Store;
  readonly window: SendWindow;

  private constructor(parts: Pick<Scene, "disk" | "clock" | "store" | "window">) {
    this.disk = parts.disk;
    this.clock = parts.clock;
    this.store = parts.store;
    this.window = parts.window;
    this.store.subscribe({ tookBack: (end) => this.window.tookBack(end) });
  }

  static async open(
    given: Partial<SendWindowOptions> = {},
    disk = new SimulatedDisk(),
    log: Partial<StoreOptions> = {},
  ): Promise<Scene> {
    const clock = new ManualClock();
    const store = await openStore(disk, { clock, tailCacheSizeBytes: 65_536, ...log });
    await store.begin();
    const window = new SendWindow({ ...options, ...given });
    await recallSends(window, store, { sizeBytes: 1_000_000, sinceMs: clock.now() - 60_000 });
    return new Scene({ disk, clock, store, window });
  }

  /** As the handler does; gives the offsets. */
  send(...messages: Message[]): Promise<number[]> {
    const drafts = messages.map((message) => draftOf(message));
    const sent = messages.map(({ messageId, topic = "t" }) => ({ topic, messageId }));
    const sending = this.window.mayRepeat(sent, this.clock.now())
      ? sendOnce(this, sent, drafts).then(({ appended }) => appended)
      : this.store.send(drafts, this.window);
    return sending.then((appended) => appended.map(({ queueOffset }) => queueOffset));
  }

  /** Ids of the messages in the log. */
  async stored(): Promise<string[]> {
    const records = await scanAll(this.store);
    return records
      .filter(({ type }) => type === RecordType.message)
      .map((record) => SystemProperties.decode(record.systemProperties).messageId ?? "");
  }
}

function refusedWith(code: string, words = /./): (error: unknown) => boolean {
  return (error) => error instanceof MqError && error.code === code && words.test(error.message);
}

const one = { messageId: idOf(1) };
const two = { messageId: idOf(2) };
const three = { messageId: idOf(3) };

describe("send window", () => {
  it("stores a repeated send once and gives the first one's offset, whatever queue it names", async () => {
    const scene = await Scene.open();
    assert.deepEqual(await scene.send({ ...two, queueId: 3 }), [0]);
    assert.deepEqual(await scene.send(one), [0]);
    assert.deepEqual(await scene.send(two), [0]);
    assert.deepEqual(await scene.send(three), [1]);
    assert.deepEqual(await scene.send({ ...three, queueId: 2 }), [1]);
    assert.deepEqual(await scene.stored(), [two.messageId, one.messageId, three.messageId]);
    await scene.store.close();
  });

  it("tells topics apart", async () => {
    const scene = await Scene.open();
    await scene.send(one);
    await scene.send({ ...one, topic: "other" });
    assert.equal((await scene.stored()).length, 2);
    await scene.store.close();
  });

  it("looks only at ids of official clients, unless told otherwise", async () => {
    const odd = [
      "order-1",
      "",
      `02${"0".repeat(32)}`,
      `01${"0".repeat(31)}`,
      `01${"0".repeat(31)}g`,
      `11${"0".repeat(32)}`,
    ];
    for (const messageId of odd) {
      const scene = await Scene.open();
      await scene.send({ messageId });
      await scene.send({ messageId });
      assert.equal((await scene.stored()).length, 2, messageId);
      await scene.store.close();
    }
    const scene = await Scene.open({
      hash: seededHash({ seeds: [1, 2], takesAnyId: true }),
    });
    await scene.send({ messageId: "order-1" });
    await scene.send({ messageId: "order-1" });
    assert.equal((await scene.stored()).length, 1);
    const small = { messageId: `01${"ab".repeat(16)}` };
    await scene.send(small);
    await scene.send(small);
    assert.equal((await scene.stored()).length, 2);
    await scene.store.close();
  });

  it("refuses another body, message group or type under a used id", async () => {
    const scene = await Scene.open();
    await scene.send({ ...one, messageGroup: "g", messageType: 2 });
    const again = (given: Partial<Message>): Promise<unknown> =>
      scene.send({ ...one, messageGroup: "g", messageType: 2, ...given });
    await assert.rejects(again({ body: "other" }), refusedWith("ILLEGAL_MESSAGE_ID", /body/));
    const group = refusedWith("ILLEGAL_MESSAGE_ID", /message group/);
    await assert.rejects(again({ messageGroup: "h" }), group);
    await assert.rejects(again({ messageType: 1 }), refusedWith("ILLEGAL_MESSAGE_ID", /type/));
    const twins = refusedWith("ILLEGAL_MESSAGE_ID", /two messages/);
    assert.throws(() => scene.send(two, two), twins);
    assert.equal((await scene.stored()).length, 1);
    await scene.store.close();
  });

  it("of a batch stores what is not there yet, and answers all", async () => {
    const scene = await Scene.open();
    assert.deepEqual(await scene.send(one, two), [0, 1]);
    assert.deepEqual(await scene.send(one, two), [0, 1]);
    assert.deepEqual(await scene.send(two, three, one), [1, 2, 0]);
    assert.deepEqual(await scene.send(three), [2]);
    const ids = [one, two, three].map(({ messageId }) => messageId);
    assert.deepEqual(await scene.stored(), ids);
    await scene.store.close();
  });

  it("lets a retry join a send that is under way: neither is answered before the flush", async () => {
    const scene = await Scene.open();
    const { promise: held, resolve: release } = deferred();
    scene.disk.onOperation = ({ kind }) => (kind === "datasync" ? held : undefined);
    const answered: string[] = [];
    const note = (name: string) => () => void answered.push(name);
    const sending = [
      scene.send(one).then(note("first")),
      scene.send(two).then(note("other")),
      scene.send(one).then(note("again")),
    ];
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(answered, []);
    release();
    await Promise.all(sending);
    assert.equal(answered.length, 3);
    assert.equal((await scene.stored()).length, 2);
    await scene.store.close();
  });

  it("forgets what a full disk takes back: first and retry fail, the next one is stored", async () => {
    const scene = await Scene.open();
    await scene.send(two);
    scene.disk.onOperation = ({ kind, path }) => {
      if (kind === "write" && path.includes("commitlog")) throw systemError("ENOSPC", "no space");
    };
    const refusals = [scene.send(one), scene.send(one)].map((sending) =>
      assert.rejects(sending, refusedWith("DISK_FULL")),
    );
    await Promise.all(refusals);
    scene.disk.onOperation = undefined;
    assert.equal(scene.window.count, 1);
    // What was stored before is answered even while the disk is full.
    assert.deepEqual(await scene.send(two), [0]);
    await scene.store.clean();
    assert.deepEqual(await scene.send(one), [1]);
    assert.deepEqual(await scene.stored(), [two.messageId, one.messageId]);
    await scene.store.close();
  });

  it("fails a retry of a send whose write failed for good", async () => {
    const scene = await Scene.open();
    await scene.send(two);
    scene.disk.onOperation = ({ kind, path }) => {
      if (kind === "write" && path.includes("commitlog")) throw systemError("EIO", "broken");
    };
    const failed = refusedWith("STORE_FAILED");
    await Promise.all([
      assert.rejects(scene.send(one), failed),
      assert.rejects(scene.send(one), failed),
    ]);
    await assert.rejects(scene.send(one), failed);
    assert.deepEqual(await scene.send(two), [0]);
    await scene.store.close();
  });

  it("gives a retry the status that holds then, for the first one's record", async () => {
    const scene = await Scene.open();
    let answered = 0;
    let outcome: MqError | undefined = new MqError("SLAVE_PERSISTENCE_TIMEOUT", "late");
    const quorum: Quorum = {
      refusal: () => undefined,
      confirmed: (durable) => durable,
      answered: () => answered,
      outcome: () => outcome,
    };
    scene.store.heed(quorum);
    const sending = scene.send(one);
    answered = position(scene.store.end);
    await assert.rejects(sending, refusedWith("SLAVE_PERSISTENCE_TIMEOUT"));
    await assert.rejects(scene.send(one), refusedWith("SLAVE_PERSISTENCE_TIMEOUT"));
    outcome = undefined;
    // Something that nobody answers for lies behind it.
    const later = assert.rejects(scene.send(two), refusedWith("SHUTTING_DOWN"));
    assert.deepEqual(await scene.send(one), [0]);
    const waiting = assert.rejects(scene.send(two), refusedWith("SHUTTING_DOWN"));
    await scene.store.close();
    await Promise.all([later, waiting]);
  });

  it("refuses a retry when the lease is over", async () => {
    const scene = await Scene.open();
    await scene.send(one);
    const lost = new MqError("NOT_MASTER", "lease");
    scene.store.heed({
      refusal: () => lost,
      confirmed: (durable) => durable,
      answered: (durable) => durable,
      outcome: () => undefined,
    });
    await assert.rejects(scene.send(one), refusedWith("NOT_MASTER"));
    await scene.store.close();
  });

  it("refuses more retries than may wait for the first ones", async () => {
    const scene = await Scene.open();
    const { promise: held, resolve: release } = deferred();
    scene.disk.onOperation = ({ kind }) => (kind === "datasync" ? held : undefined);
    const sending = [scene.send(one)];
    for (let again = 0; again < limits.repeatedSendsWaitingMax; again += 1) {
      sending.push(scene.send(one));
    }
    await assert.rejects(scene.send(one), refusedWith("TOO_MANY_REQUESTS", /repeated sends/));
    release();
    const offsets = (await Promise.all(sending)).flat();
    assert.equal(offsets.length, limits.repeatedSendsWaitingMax + 1);
    assert.ok(offsets.every((offset) => offset === 0));
    assert.equal((await scene.stored()).length, 1);
    await scene.store.close();
  });

  it("times out a retry that waits too long", async () => {
    const scene = await Scene.open();
    scene.store.heed({
      refusal: () => undefined,
      confirmed: (durable) => durable,
      answered: () => 0,
      outcome: () => undefined,
    });
    const late = refusedWith("SLAVE_PERSISTENCE_TIMEOUT");
    const sending = [assert.rejects(scene.send(one), late), assert.rejects(scene.send(one), late)];
    await scene.store.flushTo(scene.store.end);
    await new Promise((resolve) => setImmediate(resolve));
    scene.clock.pass(10_000);
    await Promise.all(sending);
    await scene.store.close();
  });

  it("forgets by count and by age", async () => {
    const scene = await Scene.open({ countMax: 2 });
    await scene.send(one);
    await scene.send(two);
    await scene.send(three);
    await scene.send(one);
    assert.equal((await scene.stored()).length, 4);
    scene.clock.elapse(60_000);
    await scene.send(one);
    assert.equal((await scene.stored()).length, 4);
    scene.clock.elapse(1);
    await scene.send(one);
    assert.equal((await scene.stored()).length, 5);
    await scene.store.close();
  });

  it("never takes one message for another, though all hashes are the same", async () => {
    const scene = await Scene.open({
      hash: (_topic, _id, target, at) => {
        target.fill(7, at, at + 2);
        return true;
      },
    });
    const messages = Array.from({ length: 20 }, (_, index) => ({ messageId: idOf(index) }));
    for (const message of messages) await scene.send(message);
    for (const message of messages.toReversed()) await scene.send(message);
    assert.deepEqual(
      await scene.stored(),
      messages.map(({ messageId }) => messageId),
    );
    await scene.store.close();
  });

  it("reads a first one that is not in memory, also when several come at once", async () => {
    const weak: Partial<SendWindowOptions> = {
      hash: (_topic, id, target, at) => {
        target.fill(Number.parseInt(id.slice(-1), 16) & 1, at, at + 2);
        return true;
      },
    };
    const scene = await Scene.open(weak);
    await scene.send(one);
    // Two chunks more than the tail keeps.
    for (let index = 16; index < 60; index += 1) {
      await scene.send({ messageId: idOf(index), body: "x".repeat(60_000) });
    }
    const before = (await scene.stored()).length;
    assert.deepEqual(await scene.send(one), [0]);
    const twins = await Promise.all([scene.send(three), scene.send(three)]);
    assert.deepEqual(twins[0], twins[1]);
    assert.equal((await scene.stored()).length, before + 1);
    await assert.rejects(scene.send({ ...one, body: "other" }), refusedWith("ILLEGAL_MESSAGE_ID"));
    await scene.store.close();
  });

  it("stores a message again whose first one retention has deleted", async () => {
    const hourMs = 3_600_000;
    const deleteWhenHours = Array.from({ length: 24 }, (_, hour) => hour);
    const log = { mappedFileSizeCommitLog: 100_000, deleteWhenHours };
    const scene = await Scene.open({ ageMs: 1_000 * hourMs }, new SimulatedDisk(), log);
    await scene.send(one);
    // Two chunks more than the tail keeps.
    for (let index = 16; index < 60; index += 1) {
      await scene.send({ messageId: idOf(index), body: "x".repeat(60_000) });
    }
    scene.clock.elapse(73 * hourMs);
    await scene.send(two);
    assert.deepEqual(await scene.send(one), [0], "it is there still");
    await scene.store.clean();
    assert.ok(scene.store.start > 0);
    assert.deepEqual(await scene.send(one), [46]);
    assert.deepEqual(await scene.send(one), [46]);
    assert.deepEqual(await scene.send(two), [45]);
    await scene.store.close();
  });

  it("knows after a restart what clients sent, and not what the broker made of it", async () => {
    const disk = new SimulatedDisk();
    const first = await Scene.open({}, disk);
    await first.send(one, two);
    const dead = { ...three, topic: deadLetterTopic("g") };
    await first.store.append([draftOf(dead, 0), draftOf(three, 0)]);
    await first.store.append([
      { ...draftOf({ messageId: idOf(4) }), type: RecordType.deliveredTimer },
    ]);
    await first.store.close();
    const second = await Scene.open({}, disk);
    assert.equal(second.window.count, 2);
    assert.deepEqual(await second.send(two), [1]);
    await second.send(three);
    await second.send(dead);
    assert.equal((await second.stored()).length, 6);
    await second.store.close();
  });

  it("reads no more than it may at a start, and nothing that is too old", async () => {
    const disk = new SimulatedDisk();
    const scene = await Scene.open({}, disk);
    for (let index = 0; index < 100; index += 1) await scene.send({ messageId: idOf(index) });
    const few = new SendWindow(options);
    await recallSends(few, scene.store, { sizeBytes: 1_000, sinceMs: 0 });
    assert.ok(few.count > 2 && few.count < 10, `${few.count}`);
    const none = new SendWindow(options);
    await recallSends(none, scene.store, { sizeBytes: 1_000, sinceMs: scene.clock.now() + 1 });
    assert.equal(none.count, 0);
    await recallSends(none, scene.store, { sizeBytes: 0, sinceMs: 0 });
    assert.equal(none.count, 0);
    await scene.store.close();
  });

  it("forgets the messages of a deleted topic, now and after a restart", async () => {
    const disk = new SimulatedDisk();
    const first = await Scene.open({}, disk);
    await first.send(one);
    await first.send({ ...two, topic: "other" });
    // docs/format/state.md: version 1, kind 2.
    const body = Buffer.concat([Uint8Array.of(1, 2), Buffer.from('{"name":"t","queues":[]}')]);
    await first.store.append([{ ...draftOf(one), type: RecordType.metadata, topic: "", body }]);
    first.window.topicDeleted("t", first.store.end);
    await first.send(one);
    await first.send(one);
    await first.send({ ...two, topic: "other" });
    assert.equal((await first.stored()).length, 3);
    await first.store.close();
    const second = await Scene.open({}, disk);
    await second.send(one);
    assert.equal((await second.stored()).length, 3);
    await second.store.close();
  });

  it("stores a message again when a kill came before its write, and only then", async () => {
    const disk = new SimulatedDisk();
    const first = await beginStore(disk);
    const window = new SendWindow(options);
    const { promise: held } = deferred();
    const sent = [{ topic: "t", messageId: one.messageId }];
    assert.equal(window.mayRepeat(sent, 0), false);
    await first.send([draftOf(one)], window);
    disk.onOperation = ({ kind, path }) =>
      kind === "write" && path.includes("commitlog") ? held : undefined;
    window.prepare([{ topic: "t", messageId: two.messageId }]);
    void first.send([draftOf(two)], window).catch(() => {});
    const copy = disk.copy();
    copy.kill();
    const after = await Scene.open({}, copy);
    assert.deepEqual(await after.send(one), [0]);
    assert.deepEqual(await after.send(two), [1]);
    assert.deepEqual(await after.stored(), [one.messageId, two.messageId]);
    await after.store.close();
  });
});
