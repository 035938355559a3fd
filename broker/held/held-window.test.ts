import assert from "node:assert/strict";
import * as fc from "fast-check";
import { silentLogger } from "../../base/index.ts";
import type { HeldEntry } from "../metadata/index.ts";
import { HeldWindow } from "./held-window.ts";
import { HeldScene } from "./testkit/held-scene.ts";

type Command =
  | { readonly kind: "hold" | "move"; readonly which: number; readonly dueMs: number }
  | { readonly kind: "end"; readonly which: number }
  | { readonly kind: "take"; readonly count: number; readonly nowMs: number }
  | { readonly kind: "settle" };

const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom("hold" as const, "hold" as const, "move" as const),
      which: fc.nat(50),
      dueMs: fc.nat(100),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("end" as const), which: fc.nat(50) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("take" as const),
      count: fc.integer({ min: 1, max: 4 }),
      nowMs: fc.nat(120),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("settle" as const) }) },
);

const everything = { count: 1_000, sizeBytes: 1_000_000 };

function openWindow(scene: HeldScene, countMax: number, changed = (): void => {}): HeldWindow {
  const { state, clock } = scene;
  const options = { state: state.held, clock, logger: silentLogger, countMax, changed };
  return HeldWindow.open({ ...options, kind: "timer" });
}

/** Ends or moves a message. */
async function change(scene: HeldScene, entry: HeldEntry, dueMs?: number): Promise<void> {
  const { position, size, count } = entry;
  const next = dueMs === undefined ? undefined : { dueMs, position, size, count };
  assert.ok(scene.held.claim(entry));
  assert.equal(await scene.held.commit([{ ...entry, next }]).fate, undefined);
}

const order = (one: HeldEntry, other: HeldEntry): number =>
  one.dueMs - other.dueMs || one.id - other.id;

async function follow(commands: readonly Command[], countMax: number): Promise<void> {
  const scene = await HeldScene.open();
  const waiting: HeldEntry[] = [];
  const start = await scene.hold("first", 50);
  waiting.push(start);
  const window = openWindow(scene, countMax);
  for (const command of commands) {
    if (command.kind === "settle") await scene.pass(1_100, 550);
    if (command.kind === "hold") waiting.push(await scene.hold("x", command.dueMs));
    if (command.kind === "move" || command.kind === "end") {
      const [entry] = waiting.splice(command.which % Math.max(1, waiting.length), 1);
      if (entry === undefined) continue;
      const dueMs = command.kind === "move" ? command.dueMs : undefined;
      await change(scene, entry, dueMs);
      if (dueMs !== undefined) waiting.push({ ...entry, dueMs });
    }
    if (command.kind !== "take") continue;
    waiting.sort(order);
    const taken = window.take(command.nowMs, { count: command.count, sizeBytes: 1_000_000 });
    // The window may not have read all yet; what it gives is due, and comes in order.
    assert.deepEqual(taken, waiting.slice(0, taken.length));
    assert.ok(taken.every(({ dueMs }) => dueMs <= command.nowMs));
    for (const entry of taken) await change(scene, entry);
    waiting.splice(0, taken.length);
  }
  waiting.sort(order);
  const rest: HeldEntry[] = [];
  await scene.until(() => {
    assert.ok(window.count <= countMax + rest.length, "the window is larger than its bound");
    const taken = window.take(1_000, everything);
    rest.push(...taken);
    for (const entry of taken) window.forget(entry);
    return rest.length >= waiting.length;
  });
  assert.deepEqual(rest, waiting);
  window.close();
  await scene.stop();
}

describe("the window of held messages", () => {
  it("gives each once, the soonest first, however small it is", async function () {
    this.timeout(60_000);
    const histories = fc.array(command, { maxLength: 60, size: "max" });
    const sizes = fc.integer({ min: 2, max: 12 });
    await fc.assert(fc.asyncProperty(histories, sizes, follow), { numRuns: 60 });
  });

  it("has those of another life", async () => {
    const scene = await HeldScene.open();
    for (const dueMs of [7, 3, 5]) await scene.hold("x", dueMs);
    await scene.restart();
    const window = openWindow(scene, 100);
    await scene.until(() => window.count === 3);
    const taken = window.take(5, everything);
    assert.deepEqual(
      taken.map(({ dueMs }) => dueMs),
      [3, 5],
    );
    window.close();
    await scene.stop();
  });

  it("tells when something is due sooner than before", async () => {
    const scene = await HeldScene.open();
    let told = 0;
    const window = openWindow(scene, 100, () => told++);
    await scene.pass(50);
    assert.equal(window.nextAtMs, undefined);
    await scene.hold("x", 500);
    assert.deepEqual([told, window.nextAtMs], [1, 500]);
    await scene.hold("x", 600);
    assert.equal(told, 1);
    await scene.hold("x", 400);
    assert.deepEqual([told, window.nextAtMs], [2, 400]);
    window.close();
    await scene.stop();
  });

  it("looks again at what is put back, and never again at what is forgotten", async () => {
    const scene = await HeldScene.open();
    const window = openWindow(scene, 100);
    const first = await scene.hold("x", 10);
    const second = await scene.hold("x", 20);
    await scene.until(() => window.count === 2);
    assert.deepEqual(window.take(20, everything), [first, second]);
    window.putBack(first, 50);
    window.forget(second);
    assert.deepEqual(window.take(49, everything), []);
    assert.deepEqual(window.take(50, everything), [first]);
    await change(scene, first);
    window.putBack(first, 60);
    assert.deepEqual(window.take(60, everything), [], "it is held no more");
    window.close();
    await scene.stop();
  });

  it("gives at most as many bytes as are wanted, but one message in any case", async () => {
    const scene = await HeldScene.open();
    const window = openWindow(scene, 100);
    for (const size of [3_000, 10, 10, 3_000]) await scene.hold("x".repeat(size), 10);
    await scene.until(() => window.count === 4);
    const take = (): number => window.take(10, { count: 100, sizeBytes: 1_000 }).length;
    assert.deepEqual([take(), take(), take(), take()], [1, 2, 1, 0]);
    window.close();
    await scene.stop();
  });

  it("goes on when the database cannot be read for a while", async () => {
    const scene = await HeldScene.open();
    for (let dueMs = 0; dueMs < 20; dueMs++) await scene.hold("x", dueMs);
    const { held } = scene.state;
    const page = held.page.bind(held);
    let failures = 0;
    held.page = (...given) => {
      if (failures++ < 2) return Promise.reject(new Error("no"));
      return page(...given);
    };
    const window = openWindow(scene, 6);
    const taken: number[] = [];
    await scene.until(() => {
      for (const entry of window.take(100, everything)) {
        taken.push(entry.dueMs);
        window.forget(entry);
      }
      return taken.length === 20;
    });
    assert.deepEqual(
      taken,
      Array.from({ length: 20 }, (_, index) => index),
    );
    window.close();
    await scene.stop();
  });

  it("does not keep those in memory that come and go far ahead", async () => {
    const scene = await HeldScene.open();
    const window = openWindow(scene, 8);
    await scene.pass(50);
    for (let round = 0; round < 60; round++) await change(scene, await scene.hold("x", 1_000));
    assert.ok(window.waitingCount <= 17, `${window.waitingCount} wait in memory`);
    window.close();
    await scene.stop();
  });
});
