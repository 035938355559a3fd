// Long random schedules of lite topics, with clients that come and go, against a plain model of order.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { messageGroupHash } from "../order/message-group-hash.ts";
import { groupCount, OrderModel, retryMaxTimes, type Step, step } from "../testkit/order-model.ts";
import { Scene } from "../testkit/scene.ts";

type LiteStep =
  | Step
  | { readonly kind: "want"; readonly client: number; readonly groups: number[] };

const liteStep: fc.Arbitrary<LiteStep> = fc.oneof(
  { weight: 6, arbitrary: step },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("want" as const),
      client: fc.nat(3),
      groups: fc.array(fc.nat(groupCount - 1), { maxLength: groupCount }),
    }),
  },
);

class LiteModel extends OrderModel {
  /** By client: the lite topics it wants. */
  readonly #wanted = new Map<string, readonly number[]>();

  constructor(scene: Scene) {
    super(scene, (group) => messageGroupHash(`lite ${group}`));
  }

  async want(clientId: string, groups: readonly number[]): Promise<void> {
    const { metadata, delivery } = this.scene;
    const [group, topic] = [metadata.group("g"), metadata.topic("t")];
    assert(group !== undefined && topic !== undefined);
    this.#wanted.set(clientId, groups);
    const names = groups.map((one) => `lite ${one}`);
    const quota = { clientMax: 100, countMax: 100, isExclusive: false };
    await delivery.lite.sync({ group, topic, clientId, change: "set", names, ...quota });
  }

  override async receive(clientId: string, countMax: number): Promise<number> {
    const before = this.out.length;
    const count = await super.receive(clientId, countMax);
    const wanted = this.#wanted.get(clientId) ?? [];
    for (const { message } of this.out.slice(before)) {
      assert.ok(wanted.includes(message.group), `${clientId} does not want ${message.id}`);
    }
    return count;
  }

  /** Clients say what they want after a restart. */
  override async crash(): Promise<void> {
    await super.crash();
    for (const [clientId, groups] of this.#wanted) await this.want(clientId, groups);
  }
}

async function check(steps: readonly LiteStep[]): Promise<void> {
  const scene = await Scene.open({
    topic: { readQueueNums: 2, messageType: "LITE" },
    group: { retryMaxTimes },
  });
  const model = new LiteModel(scene);
  for (const client of [0, 1]) await model.want(`c${client}`, [client, 2, 3]);
  for (const what of steps) {
    if (what.kind === "want") await model.want(`c${what.client}`, what.groups);
    else await model.run(what);
  }
  await model.want("c9", [0, 1, 2, 3, 4]);
  await model.finish();
}

describe("lite topics against a plain model", () => {
  it("gives each in its order, to one at a time, and only to who wants it; nothing is lost", async () => {
    await fc.assert(fc.asyncProperty(fc.array(liteStep, { maxLength: 150, size: "max" }), check), {
      numRuns: 60,
    });
  });
});
