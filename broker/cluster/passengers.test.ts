import assert from "node:assert/strict";
import { limits } from "../../base/index.ts";
import { ManualClock } from "../remoting/testkit/index.ts";
import { Passengers } from "./passengers.ts";

describe("passengers", () => {
  it("are known where their calls went lately, until they go", () => {
    const clock = new ManualClock();
    const passengers = new Passengers(clock);
    passengers.note("c", "one:1");
    clock.pass(limits.forwardMemoryMs / 2);
    passengers.note("c", "two:2");
    assert.deepEqual(passengers.addresses("c"), ["one:1", "two:2"]);
    clock.pass(limits.forwardMemoryMs / 2 + 1);
    assert.deepEqual(passengers.addresses("c"), ["two:2"]);
    assert.deepEqual(passengers.take("c"), ["two:2"]);
    assert.deepEqual(passengers.addresses("c"), []);
    passengers.note("c", "one:1");
    passengers.drop("c", "one:1");
    assert.deepEqual(passengers.addresses("c"), []);
  });
});
