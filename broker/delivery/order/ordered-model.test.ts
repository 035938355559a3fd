// Long random schedules of an ordered group against a plain model of order, with crashes in between.
import * as fc from "fast-check";
import { OrderModel, retryMaxTimes, type Step, step } from "../testkit/order-model.ts";
import { Scene } from "../testkit/scene.ts";

async function check(steps: readonly Step[]): Promise<void> {
  const scene = await Scene.open({
    topic: { readQueueNums: 2 },
    group: { retryMaxTimes, consumeMessageOrderly: true },
  });
  const model = new OrderModel(scene, (group) => group);
  for (const what of steps) await model.run(what);
  await model.finish();
}

describe("ordered delivery against a plain model", () => {
  it("gives each message group in its order, to one at a time", async () => {
    const calm = step.filter((what) => what.kind !== "crash");
    await fc.assert(fc.asyncProperty(fc.array(calm, { maxLength: 150, size: "max" }), check), {
      numRuns: 80,
    });
  });

  it("loses nothing and keeps the order over crashes", async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 150, size: "max" }), check), {
      numRuns: 80,
    });
  });
});
