// Elections under random faults, from a seed: cuts, pauses, kills, a dead etcd, late requests, clocks of different rates.
// SEEDS=n runs more of them; a failing seed is printed and can be run alone with SEED=n.
import assert from "node:assert/strict";
import { seededRandom } from "../../store/testkit/seeded-random.ts";
import { CopyingGroup } from "./testkit/copying-group.ts";
import { ElectionScene } from "./testkit/election-scene.ts";

const seedCount = Number(process.env["SEEDS"] ?? 40);
const onlySeed = process.env["SEED"];

async function run(seed: number): Promise<CopyingGroup> {
  const random = seededRandom(seed);
  const rate = (): number => 1 + random.next() * 0.1;
  const scene = new ElectionScene({
    seed,
    etcdRate: rate(),
    delayMaxMs: random.next() < 0.5 ? 5 : 80,
    lateMaxMs: random.next() < 0.5 ? 0 : 500,
    strayRatio: random.next() < 0.5 ? 0 : 0.03,
  });
  const group = new CopyingGroup(scene, random);
  for (let brokerId = 1; brokerId <= 3; brokerId++) {
    group.start({ brokerId, rate: rate(), priority: brokerId });
  }
  await group.work(2_000);
  for (let strike = 0; strike < 25; strike++) {
    group.strike();
    await group.work(Math.floor(random.next() * 1_500));
  }
  group.heal();
  await group.work(8_000);
  return group;
}

describe("elections under random faults", function () {
  this.timeout(600_000);

  const seeds =
    onlySeed === undefined
      ? Array.from({ length: seedCount }, (_, index) => index + 1)
      : [Number(onlySeed)];

  it(`keeps every rule with ${seeds.length} seeds, and has a master in the end`, async () => {
    let reigns = 0;
    let acked = 0;
    for (const seed of seeds) {
      const group = await run(seed);
      assert.deepEqual(group.broken, [], `seed ${seed}`);
      assert.equal(group.scene.serving.length, 1, `seed ${seed}: nobody serves in the end`);
      const [master] = group.scene.serving;
      const log = new Set(group.logOf(master?.brokerId ?? 0));
      assert.ok(
        [...group.acked].every((message) => log.has(message)),
        `seed ${seed}: lost`,
      );
      reigns += group.epochs.size;
      acked += group.acked.size;
    }
    assert.ok(reigns > seeds.length * 2, `only ${reigns} reigns`);
    assert.ok(acked > seeds.length * 100, `only ${acked} acknowledged`);
  });

  it("goes the same way twice with one seed", async () => {
    const [one, two] = [await run(7), await run(7)];
    assert.deepEqual([...one.epochs], [...two.epochs]);
    assert.deepEqual([...one.acked], [...two.acked]);
  });
});
