// Offsets that are set while messages are out, at random, against a plain model: what nobody has skipped is delivered
// until it is acknowledged, what is skipped or done is not, and no handle of before ends anything after. With crashes,
// and with groups that consume in order.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { pendingFlags } from "../metadata/index.ts";
import type { Delivered } from "./request.ts";
import { replay, Scene } from "./testkit/scene.ts";

type Step =
  | { readonly kind: "send" | "receive" | "pass" | "ack" | "nack" | "crash" }
  | { readonly kind: "commit" | "reset"; readonly to: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        ...(["send", "send", "receive", "receive", "ack", "ack", "pass", "nack"] as const),
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constantFrom("commit" as const, "reset" as const),
      to: fc.nat(10_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const) }) },
);

const place = { group: "g", topic: "t", queueId: 0 };

interface Out {
  readonly delivered: Delivered;
  /** A reset or commit has taken it back. */
  isStale: boolean;
}

/** Message groups that messages take turns in. */
const messageGroupCount = 3;

class Model {
  readonly scene: Scene;
  readonly isOrdered: boolean;
  /** By offset: whether it is done or skipped. "maybe": a commit has skipped it, but its message group was held back. */
  readonly isOver: (boolean | "maybe")[] = [];
  /** What is out and not acknowledged, by offset, the newest delivery. */
  readonly out = new Map<number, Out>();
  stale: Delivered[] = [];

  constructor(scene: Scene, isOrdered: boolean) {
    this.scene = scene;
    this.isOrdered = isOrdered;
  }

  async run(what: Step): Promise<void> {
    switch (what.kind) {
      case "send":
        this.scene.store.send("t", 0, { messageGroupHash: this.#groupOf(this.isOver.length) });
        this.isOver.push(false);
        return;
      case "receive":
        return this.take(await this.scene.receive({ countMax: 3, invisibleMs: 10_000 }));
      case "pass":
        return await this.scene.clock.pass(10_000);
      case "ack":
      case "nack":
        return this.#settle(what.kind);
      case "crash":
        return await this.#crash();
      default:
        return await this.#set(what.kind, what.to % (this.isOver.length + 1));
    }
  }

  /** Two of a message group follow each other now and then. */
  #groupOf(offset: number): number {
    return this.isOrdered ? 1 + (Math.floor(offset / 2) % messageGroupCount) : 0;
  }

  #checkOrder(offset: number, before: readonly Delivered[]): void {
    for (let earlier = 0; earlier < offset; earlier++) {
      if (this.#groupOf(earlier) !== this.#groupOf(offset)) continue;
      if (this.isOver[earlier] !== false) continue;
      const isWithIt = before.some(({ queueOffset }) => queueOffset === earlier);
      assert.ok(isWithIt, `${offset} came before ${earlier} of its message group`);
    }
  }

  take(batch: readonly Delivered[]): void {
    for (const [index, delivered] of batch.entries()) {
      const { queueOffset } = delivered;
      assert.notEqual(this.isOver[queueOffset], true, `${queueOffset} came after its end`);
      this.isOver[queueOffset] = false;
      if (this.isOrdered) this.#checkOrder(queueOffset, batch.slice(0, index));
      this.#retire(queueOffset);
      this.out.set(queueOffset, { delivered, isStale: false });
    }
  }

  #retire(offset: number): void {
    const old = this.out.get(offset);
    if (old === undefined) return;
    this.stale.push(old.delivered);
    this.out.delete(offset);
  }

  #settle(kind: "ack" | "nack"): void {
    const [first] = this.out;
    if (first === undefined) return;
    const [offset, { delivered }] = first;
    if (kind === "ack") {
      assert.equal(this.scene.ack(delivered), "ok");
      this.isOver[offset] = true;
      this.out.delete(offset);
    } else {
      const changed = this.scene.nack(delivered, 0);
      assert.ok(changed !== "invalid");
      this.stale.push(delivered);
      this.out.set(offset, {
        delivered: { ...delivered, receiptHandle: changed.handle },
        isStale: false,
      });
    }
  }

  async #set(kind: "commit" | "reset", to: number): Promise<void> {
    const { offsets } = this.scene.delivery;
    const before = offsets.get(place);
    if (kind === "commit") await offsets.commit(place, to);
    else await offsets.reset([{ place, offset: to }]);
    assert.equal(offsets.get(place), to);
    const [stored] = replay(this.scene.store);
    assert.equal(stored?.cursor, to, "it is in the log");
    const isBack = before === undefined || to < before;
    for (let offset = 0; offset < this.isOver.length; offset++) {
      if (kind === "reset") {
        this.#retire(offset);
        this.isOver[offset] = offset < to;
      } else if (isBack && offset >= to) {
        this.#retire(offset);
        this.isOver[offset] = false;
      } else if (offset >= (before ?? 0) && offset < to) {
        this.isOver[offset] = this.isOrdered ? "maybe" : true;
      }
    }
    for (const handle of this.stale) this.#endsNothing(handle);
  }

  #endsNothing(delivered: Delivered): void {
    const { counters } = this.scene.delivery;
    const before = counters.acknowledged;
    this.scene.ack(delivered);
    assert.equal(counters.acknowledged, before, `a stale handle of ${delivered.queueOffset}`);
  }

  /** What was not written is lost: messages may come again, none is lost. */
  async #crash(): Promise<void> {
    await this.scene.crash();
    const [stored] = replay(this.scene.store);
    for (let offset = 0; offset < this.isOver.length; offset++) {
      const entry = stored?.pending.find((one) => one.offset === offset);
      const isPending = entry !== undefined && (entry.flags & pendingFlags.anchor) === 0;
      const isEnded = offset < (stored?.cursor ?? 0) && !isPending;
      const isOver = this.isOver[offset];
      // In order, what was passed over is below the cursor and not pending: the end shows whether it is found again.
      if (!this.isOrdered) assert.ok(!isEnded || isOver === true, `${offset} is lost`);
      // Its end was not written: it comes again.
      if (isOver === true && !isEnded) this.isOver[offset] = false;
      // It may have been passed over when the state was written.
      else if (isOver === true && this.isOrdered) this.isOver[offset] = "maybe";
      // Of a handle from before nothing is said but that it ends what it belongs to, or nothing.
      this.out.delete(offset);
    }
    this.stale = [];
  }

  async finish(): Promise<void> {
    for (let quiet = 0; quiet < 3; ) {
      const batch = await this.scene.receive({ invisibleMs: 10_000 });
      this.take(batch);
      for (const delivered of batch) {
        assert.equal(this.scene.ack(delivered), "ok");
        this.isOver[delivered.queueOffset] = true;
        this.out.delete(delivered.queueOffset);
      }
      quiet = batch.length === 0 ? quiet + 1 : 0;
      await this.scene.clock.pass(10_000);
    }
    assert.deepEqual(
      this.isOver.flatMap((isOver, offset) => (isOver === false ? [offset] : [])),
      [],
      "messages that never came",
    );
    const [lane] = replay(this.scene.store);
    assert.deepEqual(lane?.pending ?? [], []);
  }
}

describe("offsets that are set, against a plain model", () => {
  for (const isOrdered of [false, true]) {
    it(`skip what they say and lose nothing else${isOrdered ? ", in order" : ""}`, async () => {
      const schedule = fc.array(step, { maxLength: 100, size: "max" });
      await fc.assert(
        fc.asyncProperty(schedule, async (steps) => {
          const scene = await Scene.open({
            topic: { readQueueNums: 1 },
            group: { consumeMessageOrderly: isOrdered },
          });
          const model = new Model(scene, isOrdered);
          for (const what of steps) await model.run(what);
          await model.finish();
        }),
        { numRuns: 150 },
      );
    });
  }
});
