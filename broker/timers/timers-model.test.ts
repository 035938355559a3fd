// Delayed messages against a simple model: sends, recalls, time, retention, restarts, and kills at any step of the disk.
// Whatever happens, each message that was acknowledged is delivered once and not before its time, or was recalled.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { RecordType, type StoreOptions } from "../store/index.ts";
import { draft, scanAll } from "../store/testkit/open-store.ts";
import { type Sent, TimerScene } from "./testkit/timer-scene.ts";

type Command =
  | { readonly kind: "send"; readonly count: number; readonly delayMs: number }
  | { readonly kind: "recall"; readonly which: number }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "retain" }
  | { readonly kind: "restart"; readonly loses: boolean }
  | { readonly kind: "kill"; readonly loses: boolean; readonly steps: number };

const delayMs = fc.oneof(fc.nat(300), fc.nat(20_000));
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("send" as const),
      count: fc.integer({ min: 1, max: 9 }),
      delayMs,
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("recall" as const), which: fc.nat(60) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(900) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("retain" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("restart" as const), loses: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("kill" as const),
      loses: fc.boolean(),
      steps: fc.nat(12),
    }),
  },
);

const options: Partial<StoreOptions> = {
  mappedFileSizeCommitLog: 4_096,
  tailCacheSizeBytes: 1,
  fileReservedTimeHours: 1,
  deleteWhenHours: Array.from({ length: 24 }, (_, hour) => hour),
  diskMaxUsedSpaceRatio: 100,
  diskSpaceCleanForciblyRatio: 100,
  diskSpaceWarningLevelRatio: 100,
  diskFreeSpaceMinBytes: 0,
};

/** A broker under test, and what it owes. */
class Trial {
  timed: TimerScene;
  readonly acknowledged: Sent[] = [];
  readonly recalled = new Set<string>();
  /** Messages of which nobody can say whether they were recalled: the answer never came. */
  readonly doubtful = new Set<string>();
  /** What consumers have seen, over all lives; retention may have taken it since. */
  readonly delivered = new Map<string, number>();
  #seen = 0;
  #number = 0;

  private constructor(timed: TimerScene) {
    this.timed = timed;
  }

  static async open(): Promise<Trial> {
    return new Trial(await TimerScene.open({ windowMax: 8, store: options }));
  }

  async run(command: Command): Promise<void> {
    switch (command.kind) {
      case "send":
        return this.#send(command.count, command.delayMs);
      case "recall":
        return this.#recall(command.which);
      case "pass":
        await this.timed.scene.pass(command.ms, 25);
        return this.look();
      case "retain":
        return this.#retain();
      case "restart":
        await this.timed.restart(command.loses);
        return;
      case "kill":
        return this.#kill(command.steps, command.loses);
    }
  }

  /** Takes what has been delivered, as a consumer would. */
  async look(): Promise<void> {
    for (const record of await scanAll(this.timed.scene.store)) {
      if (record.type !== RecordType.deliveredTimer || record.queueOffset < this.#seen) continue;
      const text = Buffer.from(record.body).toString();
      this.#seen = record.queueOffset + 1;
      assert.ok(!this.delivered.has(text), `${text} is delivered twice`);
      this.delivered.set(text, record.storeTimeMs);
    }
  }

  async finish(): Promise<void> {
    await this.timed.scene.pass(25_000, 250);
    await this.look();
    for (const { text, dueMs } of this.acknowledged) {
      const atMs = this.delivered.get(text);
      if (this.recalled.has(text)) assert.equal(atMs, undefined, `${text} was recalled`);
      else if (!this.doubtful.has(text)) assert.ok(atMs !== undefined, `${text} is lost`);
      if (atMs !== undefined) assert.ok(atMs >= dueMs, `${text} came ${dueMs - atMs} ms early`);
    }
    assert.deepEqual(await this.timed.scene.all(), []);
    assert.equal(this.timed.timers.pendingCount, 0);
    await this.timed.stop();
  }

  async #send(count: number, delayMs: number): Promise<void> {
    const texts = Array.from({ length: count }, () => `m${this.#number++}`);
    this.acknowledged.push(...(await this.timed.sendAll(texts, this.timed.nowMs + delayMs)));
  }

  async #recall(which: number): Promise<void> {
    const sent = this.acknowledged[which % Math.max(1, this.acknowledged.length)];
    if (sent === undefined) return;
    try {
      await this.timed.timers.recall("t", sent.handle);
      this.recalled.add(sent.text);
    } catch (error) {
      assert.ok(error instanceof Error && "code" in error && error.code === "MESSAGE_NOT_FOUND");
    }
  }

  async #retain(): Promise<void> {
    await this.look();
    for (let index = 0; index < 6; index++) {
      await this.timed.scene.store.append([draft("x".repeat(2_000), { topic: "other" })]);
    }
    await this.timed.timers.close();
    this.timed.scene.clock.elapse(2 * 3_600_000);
    await this.timed.restart();
    await this.timed.scene.store.clean();
    await this.look();
  }

  /** Kills at the n-th step of the disk from now on, with a send and a recall under way. */
  async #kill(steps: number, loses: boolean): Promise<void> {
    await this.look();
    const disk = { left: steps };
    this.timed.scene.disk.onOperation = () => {
      disk.left -= 1;
      return disk.left < 0 ? new Promise(() => {}) : undefined;
    };
    const texts = [`m${this.#number++}`, `m${this.#number++}`];
    const sending = this.timed.sendAll(texts, this.timed.nowMs + 100);
    const sent = this.acknowledged.at(-1);
    const recalling = sent === undefined ? undefined : this.timed.timers.recall("t", sent.handle);
    let wasRecalled: boolean | undefined;
    sending.then((all) => this.acknowledged.push(...all)).catch(() => {});
    recalling?.then(
      () => (wasRecalled = true),
      () => (wasRecalled = false),
    );
    for (let turn = 0; turn < 40 && disk.left >= 0; turn++) await this.timed.scene.pass(50, 10);
    if (sent !== undefined && wasRecalled === true) this.recalled.add(sent.text);
    if (sent !== undefined && wasRecalled === undefined) this.doubtful.add(sent.text);
    this.timed = await this.timed.killed(loses);
  }
}

describe("delayed messages in a model", () => {
  it("are delivered once and never early, or were recalled", async function () {
    this.timeout(120_000);
    const histories = fc.array(command, { maxLength: 40, size: "max" });
    const run = async (commands: readonly Command[]): Promise<void> => {
      const trial = await Trial.open();
      for (const next of commands) await trial.run(next);
      await trial.finish();
    };
    await fc.assert(fc.asyncProperty(histories, run), { numRuns: 40 });
  });
});
