// A plain model of delivery in order, driven by random steps: what was sent, what is out, what is done.
import assert from "node:assert/strict";
import { readMessageProperties } from "@cometmq/proto";
import * as fc from "fast-check";
import { MqError } from "../../../base/index.ts";
import { pendingFlags } from "../../metadata/index.ts";
import type { Delivered } from "../request.ts";
import { replay, type Scene } from "./scene.ts";

/** Something that happens. */
export type Step =
  | { readonly kind: "send"; readonly group: number; readonly count: number }
  | { readonly kind: "receive"; readonly client: number; readonly count: number }
  | { readonly kind: "ack" | "giveBack"; readonly which: number }
  | { readonly kind: "giveAgain"; readonly which: number }
  | { readonly kind: "nack"; readonly which: number; readonly ms: number }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "cool" | "diskFull" | "diskFree" | "crash" };

/** Deliveries after the first one. */
export const retryMaxTimes = 3;
/** What is ordered: message groups, of which 0 is none, or lite topics. Some share a queue. */
export const groupCount = 5;

const which = fc.nat(1_000);
/** A random step. */
export const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("send" as const),
      group: fc.nat(groupCount - 1),
      count: fc.constantFrom(1, 2, 5, 50),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constant("receive" as const),
      client: fc.nat(3),
      count: fc.constantFrom(1, 3, 32),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom("ack" as const, "ack" as const, "ack" as const, "giveBack" as const),
      which,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("nack" as const),
      which,
      ms: fc.constantFrom(0, 1, 500, 20_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("giveAgain" as const), which }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      ms: fc.constantFrom(1, 50, 5_000, 10_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("cool" as const, "diskFull" as const, "diskFree" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("crash" as const) }) },
);

interface Sent {
  readonly id: string;
  readonly group: number;
  readonly queueId: number;
  offset: number;
  isDone: boolean;
  /** Nobody may get any message of its message group before. */
  hiddenUntilMs: number;
  attempt: number;
  /** Copies in the dead-letter topic from before it was given again. */
  pastDeaths: number;
  /** Given again, and not done since. */
  isAgain: boolean;
}

/** What must hold of delivery to group `g` of topic `t`, which has 2 queues. */
export class OrderModel {
  readonly scene: Scene;
  readonly #hashOf: (group: number) => number;
  readonly sent: Sent[] = [];
  readonly byId: Map<string, Sent> = new Map();
  readonly out: { delivered: Delivered; readonly message: Sent; readonly run: number }[] = [];
  checksAttempts: boolean = true;
  /** Receives may be refused because the group has as much in hand as it may have. */
  hasBound: boolean = false;
  #run = 1;

  /** `hashOf` gives the hash of a message group or lite topic in the consume queue. */
  constructor(scene: Scene, hashOf: (group: number) => number) {
    this.scene = scene;
    this.#hashOf = hashOf;
  }

  send(group: number, count: number): void {
    const queueId = group % 2;
    for (let i = 0; i < count; i++) {
      const id = `m${this.sent.length}`;
      const offset = this.scene.store.queue("t", queueId)?.items.length ?? 0;
      const state = { isDone: false, hiddenUntilMs: 0, attempt: 0, pastDeaths: 0, isAgain: false };
      const message: Sent = { id, group, queueId, offset, ...state };
      this.sent.push(message);
      this.byId.set(id, message);
      this.scene.store.sendQuietly("t", queueId, { id, messageGroupHash: this.#hashOf(group) });
    }
    this.scene.store.confirm();
  }

  take(batch: readonly Delivered[]): void {
    const nowMs = this.scene.clock.now();
    this.settleDead();
    const messages = batch.map((delivered) => {
      const { messageId } = readMessageProperties(delivered.record.systemProperties);
      return this.byId.get(messageId) ?? assert.fail(`${messageId} was never sent`);
    });
    for (const message of new Set(messages.map(({ group }) => group))) this.#checkFree(message);
    messages.forEach((message, index) => {
      assert.equal(message.isDone, false, `${message.id} came again after its end`);
      const before = this.sent.find(
        (other) => other.group === message.group && !other.isDone && other.offset < message.offset,
      );
      const isHere = before === undefined || messages.slice(0, index).includes(before);
      assert.ok(isHere, `${message.id} came before ${before?.id} of its message group`);
      const delivered = batch[index] ?? assert.fail();
      if (this.checksAttempts) assert.equal(delivered.attempt, message.attempt + 1, message.id);
      assert.ok(delivered.attempt <= retryMaxTimes + 1);
      message.attempt = delivered.attempt;
      message.hiddenUntilMs = nowMs + delivered.invisibleMs;
      this.out.push({ delivered, message, run: this.#run });
    });
  }

  #isRefusal(error: unknown): boolean {
    return this.hasBound && error instanceof MqError && error.code === "TOO_MANY_REQUESTS";
  }

  /** All earlier deliveries of the message group must be over. */
  #checkFree(group: number): void {
    for (const message of this.sent) {
      if (message.group !== group || message.isDone) continue;
      assert.ok(message.hiddenUntilMs <= this.scene.clock.now(), `${message.id} is held still`);
    }
  }

  /** What is in the dead-letter topic is done. */
  settleDead(): void {
    for (const [message, deaths] of this.#deaths()) {
      if (deaths > message.pastDeaths) message.isDone = true;
    }
  }

  #deaths(): ReadonlyMap<Sent, number> {
    const deaths = new Map<Sent, number>();
    for (const { record } of this.scene.store.queue("%DLQ%g", 0)?.items ?? []) {
      const { messageId } = readMessageProperties(record.systemProperties);
      const message = this.byId.get(messageId);
      if (message !== undefined) deaths.set(message, (deaths.get(message) ?? 0) + 1);
    }
    return deaths;
  }

  /** What is not done is never given again; what is, counts as if it had never been handed out. */
  giveAgain(number: number): void {
    const message = this.sent[number % Math.max(1, this.sent.length)];
    if (message === undefined) return;
    this.settleDead();
    const place = { topic: "t", queueId: message.queueId, queueOffset: message.offset };
    const hash = this.#hashOf(message.group);
    try {
      if (this.scene.delivery.tracking.giveAgain("g", place, hash) !== "given") return;
    } catch (error) {
      if (this.#isRefusal(error)) return;
      throw error;
    }
    assert.ok(message.isDone, `${message.id} was given again before it was done`);
    const pastDeaths = this.#deaths().get(message) ?? 0;
    const fresh = { isDone: false, hiddenUntilMs: 0, attempt: 0, pastDeaths, isAgain: true };
    Object.assign(message, fresh);
  }

  async receive(clientId: string, countMax: number): Promise<number> {
    const receiving = this.scene.receive({ clientId, countMax, invisibleMs: 10_000, pollingMs: 1 });
    const answered = receiving.catch((error: unknown) => {
      if (this.#isRefusal(error)) return [];
      throw error;
    });
    const taking = answered.then((batch) => {
      this.take(batch);
      return batch.length;
    });
    await this.scene.clock.pass(1);
    return await taking;
  }

  async run(what: Step): Promise<void> {
    const { scene } = this;
    switch (what.kind) {
      case "send":
        return this.send(what.group, what.count);
      case "receive":
        return void (await this.receive(`c${what.client}`, what.count));
      case "pass":
        return scene.clock.pass(what.ms);
      case "cool":
        return scene.store.coolDown();
      case "diskFull":
        scene.store.appendError = new MqError("DISK_FULL", "no space");
        return;
      case "diskFree":
        scene.store.appendError = undefined;
        return;
      case "crash":
        return this.crash();
      case "giveAgain":
        return this.giveAgain(what.which);
      default:
        return this.#answer(what);
    }
  }

  #answer(what: Extract<Step, { readonly kind: "ack" | "giveBack" | "nack" }>): void {
    const place = this.out[what.which % Math.max(1, this.out.length)];
    if (place === undefined) return;
    const { message } = place;
    const { delivery } = this.scene;
    const { receiptHandle } = place.delivered;
    if (what.kind === "ack") {
      const before = delivery.counters.acknowledged;
      delivery.ack("g", "t", receiptHandle);
      if (delivery.counters.acknowledged > before) message.isDone = true;
    } else if (what.kind === "nack") {
      const name = { group: "g", topic: "t", receiptHandle };
      const changed = delivery.changeInvisible({ ...name, invisibleMs: what.ms });
      if (changed === "invalid") return;
      place.delivered = { ...place.delivered, receiptHandle: changed.handle };
      message.hiddenUntilMs = this.scene.clock.now() + what.ms;
    } else {
      if (place.run !== this.#run) return;
      const before = delivery.counters.givenBack;
      delivery.giveBack([place.delivered]);
      if (delivery.counters.givenBack === before) return;
      message.attempt--;
      message.hiddenUntilMs = 0;
    }
  }

  async crash(): Promise<void> {
    await this.scene.clock.pass(0);
    const stored = replay(this.scene.store);
    await this.scene.crash();
    this.checksAttempts = false;
    this.#run++;
    this.settleDead();
    for (const message of this.sent) {
      message.hiddenUntilMs = 0;
      const lane = stored.find((one) => one.queueId === message.queueId);
      const entry = lane?.pending.find(({ offset }) => offset === message.offset);
      const isPending = entry !== undefined && (entry.flags & pendingFlags.anchor) === 0;
      // What was acknowledged a moment ago may come again; what the log says is done may not.
      const ends = (lane?.pending ?? [])
        .filter(({ order }) => order?.messageGroupHash === this.#hashOf(message.group))
        .map(({ order }) => order?.from ?? 0);
      const end = ends.length > 0 ? Math.max(...ends) : (lane?.cursor ?? 0);
      const isEnded = message.offset < end && !isPending;
      // What the crash made forget that it was given again is done as it was before.
      message.isDone = isEnded && (message.isDone || message.isAgain);
    }
    this.settleDead();
  }

  /** In the end everything sent has come and is done, and nothing is left in the state. */
  async finish(): Promise<void> {
    const { scene } = this;
    scene.store.appendError = undefined;
    let dead = 0;
    for (let quiet = 0; quiet < 4; ) {
      const from = this.out.length;
      const count = await this.receive("c9", 32);
      for (const { delivered, message } of this.out.slice(from)) {
        assert.equal(scene.ack(delivered), "ok");
        message.isDone = true;
      }
      const deadCount = scene.store.queue("%DLQ%g", 0)?.items.length ?? 0;
      quiet = count === 0 && deadCount === dead ? quiet + 1 : 0;
      dead = deadCount;
      await scene.clock.pass(count === 0 ? 30_000 : 50);
    }
    this.settleDead();
    for (const { id, isDone } of this.sent) assert.ok(isDone, `${id} never came`);
    for (const lane of replay(scene.store)) {
      assert.deepEqual(lane.pending, [], "something is left in the state");
      assert.equal(lane.cursor, scene.store.queue("t", lane.queueId)?.endOffset ?? 0);
    }
  }
}
