import assert from "node:assert/strict";
import { believedAfterMs, jumpMinMs, SteadyTime } from "./steady-time.ts";
import { ManualClock } from "./testkit/manual-clock.ts";

const yearMs = 365 * 86_400_000;

describe("steady time", () => {
  it("goes with the clock, small steps and steps back included", () => {
    const clock = new ManualClock();
    const time = new SteadyTime(clock);
    for (const step of [jumpMinMs, -yearMs, jumpMinMs, -1]) {
      clock.jump(step);
      clock.pass(1_000);
      assert.equal(time.now(), clock.now());
      assert.equal(time.aheadMs, 0);
    }
  });

  it("goes on as before when the clock jumps forward, until that has lasted", () => {
    const clock = new ManualClock();
    const time = new SteadyTime(clock);
    clock.jump(yearMs);
    assert.equal(time.now(), clock.now() - yearMs);
    assert.equal(time.aheadMs, yearMs);
    clock.pass(believedAfterMs - 1);
    assert.equal(time.now(), clock.now() - yearMs);
    clock.pass(1);
    assert.equal(time.now(), clock.now());
    assert.equal(time.aheadMs, 0);
  });

  it("follows the clock at once when it is set right again", () => {
    const clock = new ManualClock();
    const time = new SteadyTime(clock);
    clock.jump(yearMs);
    time.now();
    clock.jump(-yearMs);
    assert.equal(time.now(), clock.now());
    clock.jump(yearMs);
    clock.pass(believedAfterMs - 1);
    assert.equal(time.now(), clock.now() - yearMs, "each jump is waited for anew");
  });

  it("does not doubt a clock that comes back to where it was", () => {
    const clock = new ManualClock();
    const time = new SteadyTime(clock);
    clock.jump(-yearMs);
    assert.equal(time.now(), clock.now());
    clock.pass(believedAfterMs - 1);
    time.now();
    clock.jump(yearMs);
    assert.equal(time.now(), clock.now());
    clock.jump(yearMs);
    assert.equal(time.now(), clock.now() - yearMs, "that is further than it was");
  });

  it("doubts a clock that comes back late", () => {
    const clock = new ManualClock();
    const time = new SteadyTime(clock);
    clock.jump(-yearMs);
    time.now();
    clock.pass(believedAfterMs + 1);
    time.now();
    clock.jump(yearMs);
    assert.equal(time.now(), clock.now() - yearMs);
  });

  it("takes other bounds", () => {
    const clock = new ManualClock();
    const time = new SteadyTime(clock, { jumpMinMs: 100, believedAfterMs: 1_000 });
    clock.jump(101);
    assert.equal(time.now(), clock.now() - 101);
    clock.pass(1_000);
    assert.equal(time.now(), clock.now());
  });
});
