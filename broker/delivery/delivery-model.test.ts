// Long random schedules against a plain model of what a consumer may see, with crashes in between.
import assert from "node:assert/strict";
import { readMessageProperties } from "@cometmq/proto";
import * as fc from "fast-check";
import { limits, MqError } from "../../base/index.ts";
import type { MessageType } from "../metadata/index.ts";
import type { Delivered } from "./request.ts";
import { replay, Scene } from "./testkit/scene.ts";

type Step =
  | { readonly kind: "send"; readonly queueId: number; readonly count: number }
  | {
      readonly kind: "receive";
      readonly client: number;
      readonly count: number;
      readonly renew: boolean;
    }
  | { readonly kind: "poll"; readonly client: number }
  | { readonly kind: "ack" | "giveBack" | "ackTwice"; readonly which: number }
  | { readonly kind: "nack"; readonly which: number; readonly ms: number }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "gone"; readonly client: number }
  | { readonly kind: "cool" | "diskFull" | "diskFree" }
  | { readonly kind: "crash" };

const retryMaxTimes = 3;

const which = fc.nat(1_000);
const client = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("send" as const),
      queueId: fc.nat(2),
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("receive" as const),
      client,
      count: fc.integer({ min: 1, max: 5 }),
      renew: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("poll" as const), client }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom("ack" as const, "giveBack" as const, "ackTwice" as const),
      which,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("nack" as const),
      which,
      ms: fc.constantFrom(0, 1, 500, 20_000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      ms: fc.constantFrom(1, 30, 50, 5_000, 10_000, 70_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("gone" as const), client }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom("cool" as const, "diskFull" as const, "diskFree" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const) }) },
);

/** What the model knows of one message. */
interface Known {
  attempt: number;
  /** Nobody may get it before. */
  hiddenUntilMs: number;
  held: string | undefined;
  isDone: boolean;
  readonly id: string;
}

class Model {
  readonly scene: Scene;
  readonly known = new Map<string, Known>();
  readonly out: {
    readonly delivered: Delivered;
    readonly name: string;
    handle: string;
    readonly run: number;
  }[] = [];
  readonly polls: Promise<void>[] = [];
  readonly cursors = new Map<number, number>();
  readonly #hasPriorities: boolean;
  #checksCounts = true;
  #run = 1;
  #calls = new AbortController();

  /** `hasPriorities`: the queue id is the priority. */
  constructor(scene: Scene, hasPriorities: boolean) {
    this.scene = scene;
    this.#hasPriorities = hasPriorities;
  }

  /** Nothing that was ready at `startMs`, when the receive began, has a higher priority than what came. */
  #checkPriorities(batch: readonly Delivered[], startMs: number): void {
    if (!this.#hasPriorities || batch.length === 0) return;
    const priorities = batch.map(({ queueId }) => queueId);
    assert.deepEqual(
      priorities,
      priorities.toSorted((one, other) => other - one),
    );
    const lowest = priorities.at(-1) ?? 0;
    for (const { queueId, lag } of this.scene.delivery.progress("g")) {
      if (queueId > lowest) assert.equal(lag, 0, `${queueId} waits, ${lowest} came`);
    }
    if (!this.#checksCounts) return;
    for (const [name, { hiddenUntilMs, isDone, held, attempt }] of this.known) {
      const isDying = attempt > retryMaxTimes;
      if (isDone || isDying || held !== undefined || hiddenUntilMs > startMs) continue;
      assert.ok(Number(name.split(":")[0]) <= lowest, `${name} is due, ${lowest} came`);
    }
  }

  take(batch: readonly Delivered[], holder: string | undefined): void {
    const nowMs = this.scene.clock.now();
    for (const delivered of batch) {
      const name = `${delivered.queueId}:${delivered.queueOffset}`;
      const old = this.known.get(name);
      if (old !== undefined) {
        assert.equal(old.isDone, false, `${name} came again after its end`);
        assert.equal(old.held, undefined, `${name} came while it is renewed`);
        assert.ok(old.hiddenUntilMs <= nowMs, `${name} came ${old.hiddenUntilMs - nowMs} ms early`);
        if (this.#checksCounts) assert.equal(delivered.attempt, old.attempt + 1, name);
      } else if (this.#checksCounts) {
        assert.equal(delivered.attempt, 1, name);
      }
      assert.ok(delivered.attempt >= 1 && delivered.attempt <= retryMaxTimes + 1);
      this.known.set(name, {
        attempt: delivered.attempt,
        hiddenUntilMs: nowMs + delivered.invisibleMs,
        held: holder,
        isDone: false,
        id: readMessageProperties(delivered.record.systemProperties).messageId,
      });
      this.out.push({ delivered, name, handle: delivered.receiptHandle, run: this.#run });
    }
  }

  async run(what: Step): Promise<void> {
    const { scene } = this;
    switch (what.kind) {
      case "send":
        for (let i = 0; i < what.count; i++) scene.store.sendQuietly("t", what.queueId);
        return scene.store.confirm();
      case "receive": {
        const clientId = `c${what.client}`;
        const receiving = scene.receive({
          clientId,
          countMax: what.count,
          autoRenew: what.renew,
          invisibleMs: what.renew ? limits.invisibleRenewedMs : 10_000,
          pollingMs: 1,
        });
        const startMs = scene.clock.now();
        const taken = receiving.then((batch) => {
          this.take(batch, what.renew ? clientId : undefined);
          return this.#checkPriorities(batch, startMs);
        });
        await scene.clock.pass(1);
        return await taken;
      }
      case "poll": {
        const { signal } = this.#calls;
        const polled = scene.receive({
          clientId: `c${what.client}`,
          countMax: 2,
          pollingMs: 8_000,
          signal,
        });
        this.polls.push(polled.then((batch) => this.take(batch, undefined)));
        return;
      }
      case "pass":
        return scene.clock.pass(what.ms);
      case "gone":
        scene.delivery.clientGone(`c${what.client}`);
        for (const known of this.known.values()) {
          if (known.held !== `c${what.client}`) continue;
          known.held = undefined;
          known.hiddenUntilMs = 0;
        }
        return;
      case "cool":
        return scene.store.coolDown();
      case "diskFull":
        scene.store.appendError = new MqError("DISK_FULL", "no space");
        return;
      case "diskFree":
        scene.store.appendError = undefined;
        return;
      case "crash":
        return await this.#crash();
      default:
        return this.#answer(what);
    }
  }

  #answer(what: Extract<Step, { readonly which: number }>): void {
    const place = this.out[what.which % Math.max(1, this.out.length)];
    const known = place && this.known.get(place.name);
    if (place === undefined || known === undefined) return;
    const { delivery } = this.scene;
    // After a crash any handle from before may be the one that is known.
    const newest = this.out.findLast(
      (other) => other.name === place.name && other.run === this.#run,
    );
    const isNewest = newest === undefined || newest === place;
    if (what.kind === "giveBack") {
      // The process that handed it out is dead.
      if (place.run !== this.#run) return;
      const before = delivery.counters.givenBack;
      delivery.giveBack([place.delivered]);
      if (delivery.counters.givenBack === before) return;
      assert.ok(isNewest && !known.isDone);
      known.attempt--;
      known.held = undefined;
      known.hiddenUntilMs = 0;
    } else if (what.kind === "nack") {
      const { handle: receiptHandle } = place;
      const changed = delivery.changeInvisible({
        group: "g",
        topic: "t",
        receiptHandle,
        invisibleMs: what.ms,
      });
      if (changed === "invalid") return;
      assert.ok(isNewest && !known.isDone, "a stale handle changed something");
      place.handle = changed.handle;
      known.held = undefined;
      known.hiddenUntilMs = this.scene.clock.now() + what.ms;
    } else {
      const before = delivery.counters.acknowledged;
      const outcome = delivery.ack("g", "t", place.handle);
      if (known.isDone && this.#checksCounts) assert.equal(outcome, "ok", "a repeated ack");
      // Ok without effect: it has ended before, here or in the dead-letter topic.
      if (delivery.counters.acknowledged === before) return;
      assert.equal(outcome, "ok");
      assert.ok(isNewest && !known.isDone, "a stale handle ended somebody else's message");
      known.isDone = true;
      if (what.kind === "ackTwice") assert.equal(delivery.ack("g", "t", place.handle), "ok");
    }
  }

  /** What was not written is lost, so that from here on attempts may be fewer and messages earlier. */
  async #crash(): Promise<void> {
    this.#calls.abort();
    this.#calls = new AbortController();
    await this.scene.clock.pass(0);
    await Promise.all(this.polls);
    const stored = replay(this.scene.store);
    await this.scene.crash();
    this.#checksCounts = false;
    this.#run++;
    for (const [name, known] of this.known) {
      const [queueId, offset] = name.split(":").map(Number);
      const lane = stored.find((one) => one.queueId === queueId);
      const isEnded =
        lane !== undefined &&
        (offset ?? 0) < lane.cursor &&
        !lane.pending.some((entry) => entry.offset === offset);
      assert.ok(!isEnded || known.isDone || this.#isDead(known.id), `${name} is lost`);
      known.isDone = isEnded;
      known.held = undefined;
      known.hiddenUntilMs = 0;
    }
  }

  #isDead(id: string): boolean {
    return deadIds(this.scene).includes(id);
  }

  checkCursors(): void {
    for (const lane of this.scene.delivery.progress("g")) {
      if (this.#checksCounts) {
        assert.ok(lane.cursor >= (this.cursors.get(lane.queueId) ?? 0), "a cursor went back");
      }
      this.cursors.set(lane.queueId, lane.cursor);
    }
  }

  /** In the end everything sent is acknowledged or in the dead-letter topic, each exactly once. */
  async finish(): Promise<void> {
    const { scene } = this;
    scene.store.appendError = undefined;
    await scene.clock.pass(0);
    const isGone = { held: undefined, hiddenUntilMs: 0 };
    for (const id of [0, 1, 2]) scene.delivery.clientGone(`c${id}`);
    for (const known of this.known.values())
      if (known.held !== undefined) Object.assign(known, isGone);
    for (let quiet = 0; quiet < 5; ) {
      const receiving = scene.receive({ pollingMs: 1, invisibleMs: 10_000 });
      const taking = receiving.then((batch) => this.take(batch, undefined));
      await scene.clock.pass(1);
      await taking;
      const batch = await receiving;
      for (const message of batch) assert.equal(scene.ack(message), "ok");
      for (const { name } of this.out.slice(-batch.length || this.out.length)) {
        const known = this.known.get(name);
        if (known !== undefined && batch.length > 0) known.isDone = true;
      }
      quiet = batch.length === 0 ? quiet + 1 : 0;
      await scene.clock.pass(30_000);
    }
    await Promise.all(this.polls);
    const dead = deadIds(scene);
    assert.equal(new Set(dead).size, dead.length, "a message is dead twice");
    const lanes = scene.delivery.progress("g");
    assert.ok(lanes.every((lane) => lane.pendingCount === 0 && lane.lag === 0));
    assert.deepEqual(
      new Set(
        replay(scene.store).map((lane) =>
          JSON.stringify([lane.queueId, lane.cursor, lane.pending]),
        ),
      ),
      new Set(lanes.map((lane) => JSON.stringify([lane.queueId, lane.endOffset, []]))),
    );
    for (const { queueId, endOffset } of lanes) {
      for (let offset = 0; offset < endOffset; offset++) {
        const known = this.known.get(`${queueId}:${offset}`);
        assert.ok(known !== undefined, `${queueId}:${offset} never came`);
        if (this.#checksCounts) assert.notEqual(known.isDone, dead.includes(known.id));
        else assert.ok(known.isDone || dead.includes(known.id), `${queueId}:${offset} is lost`);
      }
    }
  }
}

/** Ids of what is in the dead-letter topic. */
function deadIds(scene: Scene): string[] {
  const letters = scene.store.queue("%DLQ%g", 0)?.items ?? [];
  return letters.map(({ record }) => readMessageProperties(record.systemProperties).messageId);
}

async function check(steps: readonly Step[], messageType: MessageType = "NORMAL"): Promise<void> {
  const topic = { readQueueNums: 3, messageType };
  const scene = await Scene.open({ topic, group: { retryMaxTimes } });
  const model = new Model(scene, messageType === "PRIORITY");
  for (const what of steps) {
    await model.run(what);
    model.checkCursors();
  }
  await model.finish();
}

describe("delivery against a plain model", () => {
  it("delivers everything until it is acknowledged, to one at a time, and counts right", async () => {
    const calm = step.filter((what) => what.kind !== "crash");
    await fc.assert(
      fc.asyncProperty(fc.array(calm, { maxLength: 120, size: "max" }), (steps) => check(steps)),
      {
        numRuns: 60,
      },
    );
  });

  it("loses nothing over crashes, and a stale handle ends nothing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120, size: "max" }), (steps) => check(steps)),
      {
        numRuns: 60,
      },
    );
  });

  it("delivers no lower priority while a higher one is ready", async () => {
    const checkPriorities = (steps: Step[]): Promise<void> => check(steps, "PRIORITY");
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 120, size: "max" }), checkPriorities),
      { numRuns: 60 },
    );
  });
});
