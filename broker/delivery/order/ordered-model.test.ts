// Long random schedules of an ordered group against a plain model of order, with crashes in between.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { groupCount, OrderModel, retryMaxTimes, type Step, step } from "../testkit/order-model.ts";
import { Scene } from "../testkit/scene.ts";

const queueCount = 2;

async function open(pendingMax?: number): Promise<OrderModel> {
  const scene = await Scene.open({
    topic: { readQueueNums: queueCount },
    group: { retryMaxTimes, consumeMessageOrderly: true },
    ...(pendingMax === undefined ? {} : { pendingMax }),
  });
  return new OrderModel(scene, (group) => group);
}

async function check(steps: readonly Step[]): Promise<void> {
  const model = await open();
  for (const what of steps) await model.run(what);
  await model.finish();
}

/** As `check`, with few messages that the group may have of a queue. */
async function checkBound(steps: readonly Step[]): Promise<void> {
  const pendingMax = 4;
  const model = await open(pendingMax);
  model.hasBound = true;
  for (const what of steps) {
    await model.run(what);
    // One more of each message group at most.
    const { count } = model.scene.delivery.pendingBound;
    assert.ok(count <= queueCount * pendingMax + groupCount, `${count} are pending`);
  }
  await model.finish();
}

describe("ordered delivery against a plain model", () => {
  it("gives each message group in its order, to one at a time", async () => {
    const calm = step.filter((what) => what.kind !== "crash");
    await fc.assert(fc.asyncProperty(fc.array(calm, { maxLength: 150, size: "max" }), check), {
      numRuns: 80,
    });
  });

  it("does so within the bound of what is pending", async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 150, size: "max" }), checkBound), {
      numRuns: 80,
    });
  });

  it("loses nothing and keeps the order over crashes", async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 150, size: "max" }), check), {
      numRuns: 80,
    });
  });
});
