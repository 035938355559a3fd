import assert from "node:assert/strict";
import { type BrokerStanding, bestOfNames, chooseBroker } from "./broker-choice.ts";
import { type RouteBroker, writableBrokers } from "./route.ts";
import { awayMaxMs, RouteAnswers } from "./route-answers.ts";

interface Listed {
  readonly name: string;
  readonly port: number;
  readonly permission?: number;
  readonly id?: number;
}

class Answers {
  readonly all = new RouteAnswers();
  #nowMs = 1_000;

  /** One server answers, a millisecond after the last answer. */
  say(address: string, listed: readonly Listed[], named = true): this {
    const queues = listed.map(({ name, port, permission, id }) => ({
      id: 0,
      permission: permission ?? 4,
      broker: { name, id: id ?? 0, endpoints: { addresses: [{ host: "h", port }] } },
    }));
    this.all.take({ address, named, queues, nowMs: ++this.#nowMs });
    return this;
  }

  /** The addresses of the brokers in their order. */
  ports(): readonly (number | undefined)[] {
    return this.all
      .route("t", this.#nowMs)
      .brokers.map(({ endpoints }) => endpoints.addressesList[0]?.port);
  }

  writable(): readonly string[] {
    return writableBrokers(this.all.route("t", this.#nowMs).brokers).map(({ name }) => name);
  }
}

describe("answers that disagree", () => {
  it("the address that a server changed to last comes first, whoever still names the old one", () => {
    const answers = new Answers().say("ns1", [{ name: "a", port: 1 }]);
    answers.say("ns2", [{ name: "a", port: 1 }]).say("ns3", [{ name: "a", port: 1 }]);
    answers.say("ns2", [{ name: "a", port: 2 }]);
    assert.deepEqual(answers.ports(), [2, 1]);
    answers.say("ns1", [{ name: "a", port: 1 }]);
    assert.deepEqual(answers.ports(), [2, 1], "saying the same again is no news");
    answers.say("ns1", [{ name: "a", port: 1 }]).say("ns2", [{ name: "a", port: 1 }]);
    assert.deepEqual(answers.ports(), [1], "back again is news");
  });

  it("an address that comes after nothing was listed is news, a first answer is not", () => {
    const answers = new Answers().say("ns1", [{ name: "a", port: 1 }]);
    answers.say("ns2", []).say("ns2", [{ name: "a", port: 2 }]);
    answers.say("ns3", [{ name: "a", port: 3 }]).say("ns4", [{ name: "a", port: 3 }]);
    assert.deepEqual(answers.ports(), [2, 3, 1], "news, then what more servers say");
  });

  it("a named server counts more than a broker, which counts only until a named one answers", () => {
    const answers = new Answers().say(
      "b",
      [
        { name: "a", port: 1 },
        { name: "z", port: 9 },
      ],
      false,
    );
    answers.say("ns1", [{ name: "a", port: 2 }]);
    assert.deepEqual(answers.ports(), [2, 1, 9]);
    answers.all.dropUnnamed();
    assert.deepEqual(answers.ports(), [2]);
  });

  it("a drained master is drained although one server has not heard of it", () => {
    const both = [
      { name: "a", port: 1 },
      { name: "b", port: 2 },
    ];
    const drained = [
      { name: "a", port: 1, permission: 2 },
      { name: "b", port: 2 },
    ];
    const answers = new Answers().say("ns1", both).say("ns2", both);
    assert.deepEqual(answers.writable(), ["a", "b"]);
    answers.say("ns1", drained).say("ns2", both);
    assert.deepEqual(answers.writable(), ["b"]);
  });

  it("servers that failed lose their say, but not the last word of all", () => {
    const answers = new Answers().say("ns1", [{ name: "a", port: 1 }]);
    answers.say("ns2", [{ name: "a", port: 2 }]);
    answers.all.dropFailed(["ns1", "ns2"]);
    assert.deepEqual(answers.ports(), [1, 2]);
    answers.all.dropFailed(["ns1"]);
    assert.deepEqual(answers.ports(), [2]);
  });
});

describe("the queues of message groups", () => {
  const both = [
    { name: "a", port: 1 },
    { name: "b", port: 2 },
  ];

  it("wait for a name that is away, for a minute", () => {
    const answers = new Answers().say("ns", both);
    const before = answers.all.route("t", 5_000);
    assert.deepEqual(before.awayNames, []);
    answers.say("ns", [{ name: "b", port: 2 }]);
    const away = answers.all.route("t", 6_000);
    assert.deepEqual(away.groupQueues, before.groupQueues);
    assert.deepEqual(away.awayNames, ["a"]);
    const gone = answers.all.route("t", 5_000 + awayMaxMs + 1);
    assert.deepEqual(gone.groupQueues, [{ brokerName: "b", queueId: 0 }]);
    assert.deepEqual(gone.awayNames, []);
  });

  it("wait for a name of which only a slave is listed, and stay when its master has moved", () => {
    const answers = new Answers().say("ns", both);
    const before = answers.all.route("t", 5_000);
    answers.say("ns", [
      { name: "a", port: 3, id: 1 },
      { name: "b", port: 2 },
    ]);
    assert.deepEqual(answers.all.route("t", 6_000).awayNames, ["a"]);
    answers.say("ns", [
      { name: "a", port: 3 },
      { name: "b", port: 2 },
    ]);
    const moved = answers.all.route("t", 7_000);
    assert.deepEqual(moved.groupQueues, before.groupQueues);
    assert.deepEqual(moved.awayNames, []);
  });

  it("leave a drained master at once", () => {
    const answers = new Answers().say("ns", both);
    answers.all.route("t", 5_000);
    answers.say("ns", [
      { name: "a", port: 1, permission: 2 },
      { name: "b", port: 2 },
    ]);
    const drained = answers.all.route("t", 5_001);
    assert.deepEqual(drained.groupQueues, [{ brokerName: "b", queueId: 0 }]);
    assert.deepEqual(drained.awayNames, []);
  });
});

describe("the choice of a broker", () => {
  const route = new Answers().say("ns1", [
    { name: "a", port: 1 },
    { name: "b", port: 2 },
  ]);
  route.say("ns2", [
    { name: "a", port: 3 },
    { name: "b", port: 2 },
  ]);
  const { brokers } = route.all.route("t", 0);
  const good: BrokerStanding = {
    usable: true,
    tried: false,
    refusedMsAgo: Number.POSITIVE_INFINITY,
  };
  const portOf = (broker: RouteBroker | undefined): number | undefined =>
    broker?.endpoints.addressesList[0]?.port;
  const choices = (standings: Readonly<Record<number, Partial<BrokerStanding>>>): unknown[] =>
    [0, 1].map((turn) =>
      portOf(
        chooseBroker(brokers, turn, (broker) => ({ ...good, ...standings[portOf(broker) ?? 0] })),
      ),
    );

  it("takes the names in turn, at one address each", () => {
    assert.deepEqual(choices({}), [1, 2]);
    assert.deepEqual(bestOfNames(brokers, () => good).map(portOf), [1, 2]);
  });

  it("avoids what is unusable, refused or was tried, at the other address of the name first", () => {
    assert.deepEqual(choices({ 1: { usable: false } }), [3, 2]);
    assert.deepEqual(choices({ 1: { refusedMsAgo: 20_000 } }), [3, 2]);
    assert.deepEqual(choices({ 1: { tried: true } }), [3, 2]);
    assert.deepEqual(choices({ 2: { tried: true } }), [1, 1]);
    assert.deepEqual(choices({ 2: { refusedMsAgo: 10 } }), [1, 1]);
    assert.deepEqual(choices({ 2: { refusedMsAgo: 20_000 } }), [1, 2]);
    const tried = { tried: true };
    assert.deepEqual(choices({ 1: tried, 2: tried, 3: tried }), [1, 2]);
    const dead = { usable: false };
    assert.deepEqual(choices({ 1: dead, 2: dead, 3: dead }), [undefined, undefined]);
  });
});
