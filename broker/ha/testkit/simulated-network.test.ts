import assert from "node:assert/strict";
import * as fc from "fast-check";
import { limits } from "../../../base/index.ts";
import { ManualClock } from "../../store/testkit/manual-clock.ts";
import { seededRandom } from "../../store/testkit/seeded-random.ts";
import type { Link } from "../network.ts";
import { SimulatedNetwork } from "./simulated-network.ts";

const address = { host: "one", port: 10_912 };

class World {
  readonly clock = new ManualClock();
  readonly network: SimulatedNetwork;
  readonly accepted: Link[] = [];

  constructor(seed: number) {
    const random = seededRandom(seed);
    const delay = { minMs: 1, maxMs: 5 };
    this.network = new SimulatedNetwork({ clock: this.clock, random, delay });
  }

  async listen(): Promise<void> {
    await this.network.host("one").listen(address, (link) => this.accepted.push(link));
  }

  /** Lets time pass, and everything that it sets off. */
  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 1) {
      this.clock.pass(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async pair(): Promise<{ readonly here: Talker; readonly there: Talker }> {
    const dialled = this.network.host("two").connect(address);
    await this.pass(20);
    const there = this.accepted.at(-1);
    assert.ok(there);
    return { here: new Talker(await dialled), there: new Talker(there) };
  }
}

/** A link and what came over it. */
class Talker {
  readonly link: Link;
  heard = "";
  readonly ends: string[] = [];

  constructor(link: Link) {
    this.link = link;
    link.onData((bytes) => {
      this.heard += bytes.toString();
    });
    link.onEnd((reason) => this.ends.push(reason));
  }

  say(words: string): void {
    this.link.send(Buffer.from(words));
  }
}

async function world(seed = 1): Promise<World> {
  const made = new World(seed);
  await made.listen();
  return made;
}

describe("the simulated network", () => {
  it("takes its time, and keeps the order whatever the delays", async () => {
    const made = await world(3);
    const { here, there } = await made.pair();
    made.network.setDelay("two", "one", { minMs: 10, maxMs: 500 });
    const words = Array.from({ length: 100 }, (_, index) => `${index};`);
    for (const word of words) here.say(word);
    await made.pass(8);
    assert.equal(there.heard, "");
    await made.pass(500);
    assert.equal(there.heard, words.join(""));
  });

  it("does the same again for the same seed, and something else for another one", async () => {
    const history = async (seed: number): Promise<string> => {
      const made = await world(seed);
      const { here, there } = await made.pair();
      const seen: string[] = [];
      there.link.onData((bytes) => seen.push(`${made.clock.monotonicMs()}:${bytes.toString()}`));
      for (let times = 0; times < 30; times += 1) {
        here.say(`word ${times};`);
        await made.pass(3);
      }
      made.network.cutBoth("one", "two");
      here.say("more");
      await made.pass(10);
      made.network.healAll();
      await made.pass(30);
      return JSON.stringify([seen, here.ends, there.ends]);
    };
    assert.equal(await history(5), await history(5));
    assert.notEqual(await history(5), await history(6));
  });

  it("cuts one way only, without telling anybody", async () => {
    const made = await world();
    const { here, there } = await made.pair();
    made.network.cut("two", "one");
    here.say("lost?");
    there.say("still heard");
    await made.pass(1_000);
    assert.deepEqual([there.heard, here.heard], ["", "still heard"]);
    assert.deepEqual([here.ends, there.ends], [[], []]);
    // Also the end of a link is something that is sent.
    here.link.close("gave up");
    await made.pass(1_000);
    assert.deepEqual([here.ends, there.ends], [["gave up"], []]);
  });

  it("goes on or resets after a cut, as chance has it, and never loses the middle", async () => {
    const outcomes = new Set<string>();
    for (let seed = 1; seed <= 20; seed += 1) {
      const made = await world(seed);
      const { here, there } = await made.pair();
      here.say("a");
      await made.pass(10);
      made.network.cutBoth("one", "two");
      here.say("b");
      await made.pass(100);
      made.network.healAll();
      here.say("c");
      await made.pass(100);
      assert.ok(["abc", "a"].includes(there.heard), there.heard);
      assert.equal(here.ends.length, there.heard === "a" ? 1 : 0);
      assert.equal(there.ends.length, here.ends.length);
      outcomes.add(there.heard);
    }
    assert.equal(outcomes.size, 2);
  });

  it("leaves links alone that had nothing to say during a cut", async () => {
    const made = await world();
    const { here, there } = await made.pair();
    made.network.cutBoth("one", "two");
    await made.pass(100);
    made.network.healAll();
    here.say("hello");
    await made.pass(10);
    assert.deepEqual([there.heard, here.ends], ["hello", []]);
  });

  it("lets a dial wait for an answer that does not come, then gives up", async () => {
    for (const [from, to] of [
      ["one", "two"],
      ["two", "one"],
    ] as const) {
      const made = await world();
      made.network.cut(from, to);
      const dialled = made.network.host("two").connect(address);
      dialled.catch(() => {});
      await made.pass(limits.haProofMs + 1);
      await assert.rejects(dialled, /no replication with one:10912: it did not answer within/);
      // The question got there, the answer did not: a half-open link.
      assert.equal(made.accepted.length, from === "one" ? 1 : 0);
    }
  });

  it("resets links of a killed process, and refuses new ones", async () => {
    const made = await world();
    const { here, there } = await made.pair();
    made.network.kill("one", "reset");
    there.say("from the dead");
    await made.pass(20);
    assert.match(here.ends.join(), /reset: the process there is gone/);
    assert.deepEqual([here.heard, there.ends], ["", []]);
    const again = made.network.host("two").connect(address);
    again.catch(() => {});
    await made.pass(20);
    await assert.rejects(again, /connection refused/);
  });

  it("keeps silent about a machine that is gone, until it is back and does not know the link", async () => {
    const made = await world();
    const { here, there } = await made.pair();
    const zombie = made.network.host("one");
    made.network.kill("one", "silent");
    here.say("anybody there?");
    await made.pass(1_000);
    assert.deepEqual([here.ends, there.heard], [[], ""]);
    made.network.revive("one");
    await made.pass(20);
    assert.match(here.ends.join(), /reset by the other side/);
    // What is left of the old process gets nowhere.
    let isAnswered = false;
    void zombie
      .listen(address, () => {})
      .finally(() => {
        isAnswered = true;
      });
    await made.pass(20);
    assert.equal(isAnswered, false);
    await made.listen();
    const { here: fresh, there: other } = await made.pair();
    fresh.say("hello");
    await made.pass(20);
    assert.equal(other.heard, "hello");
  });

  it("holds everything back from a process that stands still", async () => {
    const made = await world();
    const { here, there } = await made.pair();
    made.network.pause("one");
    here.say("wait");
    const dialled = made.network.host("three").connect(address);
    await made.pass(500);
    assert.deepEqual([there.heard, here.ends, made.accepted.length], ["", [], 1]);
    made.network.resume("one");
    await made.pass(20);
    assert.equal(there.heard, "wait");
    await dialled;
    assert.equal(made.accepted.length, 2);
    made.network.pause("two");
    there.link.close("bye");
    await made.pass(100);
    assert.deepEqual(here.ends, []);
    made.network.resume("two");
    await made.pass(20);
    assert.match(here.ends.join(), /closed/);
  });

  it("gives each side a beginning of what the other one said, whatever happens", async () => {
    const event = fc.oneof(
      fc.constantFrom("say", "say", "say", "pass", "pass", "cutUp", "cutDown", "heal"),
      fc.constantFrom("stop", "go", "hold", "release"),
    );
    const run = fc.asyncProperty(
      fc.nat(),
      fc.array(event, { maxLength: 60 }),
      async (seed, all) => {
        const made = await world(seed);
        const { here, there } = await made.pair();
        const said = { up: "", down: "" };
        let isHeld = false;
        const acts: Readonly<Record<(typeof all)[number], () => void>> = {
          say: () => {
            const word = `${said.up.length};`;
            here.say(word);
            there.say(word);
            said.up += word;
            said.down += word;
          },
          pass: () => made.clock.pass(4),
          cutUp: () => made.network.cut("two", "one"),
          cutDown: () => made.network.cut("one", "two"),
          heal: () => made.network.healAll(),
          stop: () => there.link.pause(),
          go: () => there.link.resume(),
          hold: () => {
            if (!isHeld) made.network.pause("two");
            isHeld = true;
          },
          release: () => {
            if (isHeld) made.network.resume("two");
            isHeld = false;
          },
        };
        for (const act of all) acts[act]();
        acts.go();
        acts.release();
        acts.heal();
        made.clock.pass(100);
        assert.ok(said.up.startsWith(there.heard), `${said.up} ${there.heard}`);
        assert.ok(said.down.startsWith(here.heard), `${said.down} ${here.heard}`);
        // Whole, or both sides have learned that it is not.
        if (here.ends.length + there.ends.length === 0) {
          assert.deepEqual([there.heard, here.heard], [said.up, said.down]);
        } else assert.deepEqual([here.ends.length, there.ends.length], [1, 1]);
      },
    );
    await fc.assert(run, { numRuns: 200 });
  });
});
