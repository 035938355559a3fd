import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { Clock } from "../base/index.ts";
import { type DeadlineEntry, DeadlineWheel } from "./deadline-wheel.ts";

/** Time that passes when told. */
class StepClock implements Clock {
  nowMs = 1000;
  readonly #timers = new Set<{ readonly dueMs: number; readonly task: () => void }>();

  get timerCount(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.nowMs;
  }

  monotonicMs(): number {
    return this.nowMs;
  }

  after(delayMs: number, task: () => void): () => void {
    const timer = { dueMs: this.nowMs + delayMs, task };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  every(): () => void {
    throw new Error("not used");
  }

  pass(ms: number): void {
    this.nowMs += ms;
    for (const timer of this.#timers) {
      if (timer.dueMs > this.nowMs) continue;
      this.#timers.delete(timer);
      timer.task();
    }
  }
}

function entry(dueMs: number, onExpire: () => void): DeadlineEntry {
  return { dueMs, slot: -1, previous: undefined, next: undefined, expire: onExpire };
}

describe("DeadlineWheel", () => {
  it("expires in time and never early, whatever the steps", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(200_000), { maxLength: 50 }),
        fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 30 }),
        (delays, steps) => {
          const clock = new StepClock();
          const wheel = new DeadlineWheel(clock);
          const expired = new Map<number, number>();
          for (const [index, delay] of delays.entries()) {
            wheel.add(entry(clock.nowMs + delay, () => expired.set(index, clock.nowMs)));
          }
          for (const step of [...steps, 200_000, 16, 16]) {
            clock.pass(step);
            const late = delays.filter(
              (delay, index) => !expired.has(index) && clock.nowMs - 1000 > delay + 32,
            );
            assert.ok(late.length === 0 || step > 16, `late: ${late.join()}`);
          }
          for (const [index, delay] of delays.entries()) {
            assert.ok((expired.get(index) ?? 0) >= 1000 + delay, `early or never: ${delay}`);
          }
        },
      ),
    );
  });

  it("forgets removed entries, and has no timer when it is empty", () => {
    const clock = new StepClock();
    const wheel = new DeadlineWheel(clock);
    const entries = [1, 2, 3].map((index) =>
      entry(clock.nowMs + index, () => assert.fail("expired")),
    );
    for (const each of entries) wheel.add(each);
    assert.equal(wheel.count, 3);
    for (const each of [entries[1], entries[0], entries[2]])
      if (each !== undefined) wheel.remove(each);
    clock.pass(1000);
    assert.equal(wheel.count, 0);
    assert.equal(clock.timerCount, 0);
  });

  it("lets an expiry remove another entry of the same moment", () => {
    const clock = new StepClock();
    const wheel = new DeadlineWheel(clock);
    let expired = 0;
    const first = entry(clock.nowMs + 5, () => {
      expired += 1;
      wheel.remove(second);
    });
    const second = entry(clock.nowMs + 5, () => {
      expired += 1;
      wheel.remove(first);
    });
    wheel.add(first);
    wheel.add(second);
    clock.pass(100);
    assert.equal(expired, 1);
  });
});
