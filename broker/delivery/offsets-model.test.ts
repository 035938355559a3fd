// Offsets that are set while messages are out, at random, against a plain model: what nobody has skipped is delivered
// until it is acknowledged, what is skipped or done is not, and no handle of before ends anything after. With crashes.
import assert from "node:assert/strict";
import * as fc from "fast-check";
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

class Model {
  readonly scene: Scene;
  /** By offset: whether it is done or skipped. */
  readonly isOver: boolean[] = [];
  /** What is out and not acknowledged, by offset, the newest delivery. */
  readonly out = new Map<number, Out>();
  stale: Delivered[] = [];

  constructor(scene: Scene) {
    this.scene = scene;
  }

  async run(what: Step): Promise<void> {
    switch (what.kind) {
      case "send":
        this.scene.store.send("t", 0);
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

  take(batch: readonly Delivered[]): void {
    for (const delivered of batch) {
      const { queueOffset } = delivered;
      assert.equal(this.isOver[queueOffset], false, `${queueOffset} came after its end`);
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
        this.isOver[offset] = true;
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
      const isPending = stored?.pending.some((entry) => entry.offset === offset) === true;
      const isEnded = offset < (stored?.cursor ?? 0) && !isPending;
      assert.ok(!isEnded || this.isOver[offset] === true, `${offset} is lost`);
      this.isOver[offset] = isEnded;
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
    assert.ok(
      this.isOver.every((isOver) => isOver),
      "a message never came",
    );
    const [lane] = replay(this.scene.store);
    assert.deepEqual(lane?.pending ?? [], []);
  }
}

describe("offsets that are set, against a plain model", () => {
  it("skip what they say and lose nothing else", async () => {
    const schedule = fc.array(step, { maxLength: 100, size: "max" });
    await fc.assert(
      fc.asyncProperty(schedule, async (steps) => {
        const model = new Model(await Scene.open({ topic: { readQueueNums: 1 } }));
        for (const what of steps) await model.run(what);
        await model.finish();
      }),
      { numRuns: 150 },
    );
  });
});
