// The official clients of other languages with their default settings: each sends 1,000 messages and receives them with a
// simple and with a push consumer; then every kind of message and way to consume, as far as the client has it.
import assert from "node:assert/strict";
import { startBroker } from "../../bench/servers.ts";
import { brokerAdminService, RawClient } from "../e2e/raw-client.ts";
import { assertSpread, count, places } from "./places.ts";
import { lacking, type Program, programs } from "./programs.ts";

/** What a program tells when nothing is missing. The Rust client has no push consumer. */
const complete = (name: string): object => ({
  sent: count,
  simple: count,
  ...(name.startsWith("Rust") ? {} : { push: count }),
});

const ok = "ok";

const rustLacks = { "Rust (plaintext)": lacking };

/** By feature: what each client's program has to say of it, `ok` for those that are not named. */
const expected: Readonly<Record<string, Readonly<Record<string, string | RegExp>>>> = {
  fifo: {},
  fifoPastFailure: rustLacks,
  retry: rustLacks,
  nack: rustLacks,
  tags: {},
  sql: {},
  delay: {},
  recall: rustLacks,
  priority: rustLacks,
  lite: rustLacks,
  // The newest Java client has none on Maven Central, the Go client neither.
  liteSimple: { ...rustLacks, "Go (TLS)": lacking, "Java (TLS)": lacking },
  transaction: {},
  dlq: {},
};

/** Message types of the topics that are not NORMAL. */
const types: Readonly<Record<string, string>> = {
  fifo: "FIFO",
  fifoPastFailure: "FIFO",
  delay: "DELAY",
  recall: "DELAY",
  priority: "PRIORITY",
  lite: "LITE",
  liteSimple: "LITE",
  transaction: "TRANSACTION",
};

/** Attributes of the consumer groups that are made before. */
const groups: Readonly<Record<string, object>> = {
  fifo: { consumeMessageOrderly: true },
  fifoPastFailure: {
    consumeMessageOrderly: true,
    retryPolicy: { customizedBackoff: { next: [{ seconds: 1 }] } },
  },
  lite: {
    consumeMessageOrderly: true,
    retryPolicy: { customizedBackoff: { next: [{ seconds: 1 }] } },
  },
  dlq: { retryMaxTimes: 1, retryPolicy: { customizedBackoff: { next: [{ seconds: 1 }] } } },
};

describe("official clients with default settings", function () {
  this.timeout(600_000);
  let all: readonly Program[] = [];

  before(async () => {
    all = await programs();
  });

  // All at once: what takes long is the waiting of the clients.
  for (const [where, open] of Object.entries(places)) {
    it(`send and receive: ${where}`, async () => {
      const results = await Promise.all(
        all.map(async (program) => {
          await using place = await open("orders");
          const result = await program.run([place.endpoint, "orders", String(count)]);
          await assertSpread(place);
          return [program.name, result];
        }),
      );
      assert.deepEqual(
        results,
        all.map(({ name }) => [name, complete(name)]),
      );
    });
  }

  it("do every kind of message that they have", async () => {
    await using broker = await startBroker();
    const endpoint = `127.0.0.1:${broker.port}`;
    const features = Object.keys(expected);
    const outcomes = await Promise.all(
      all.map(async ({ name, run }, index) => {
        await makeTopicsAndGroups(endpoint, `client${index}`, features);
        const outcome = await run(["kinds", endpoint, `client${index}`, ...features]);
        return { name, outcome };
      }),
    );
    for (const { name, outcome } of outcomes) {
      assertOutcome(name, outcome);
    }
  });
});

function assertOutcome(name: string, outcome: unknown): void {
  assert.ok(typeof outcome === "object" && outcome !== null);
  const told = new Map<string, unknown>(Object.entries(outcome));
  for (const [feature, exceptions] of Object.entries(expected)) {
    const wanted = exceptions[name] ?? ok;
    const what = `${name}, ${feature}: ${told.get(feature)}`;
    if (wanted instanceof RegExp) assert.match(String(told.get(feature)), wanted, what);
    else assert.equal(told.get(feature), wanted, what);
  }
}

async function makeTopicsAndGroups(
  endpoint: string,
  prefix: string,
  features: readonly string[],
): Promise<void> {
  const operator = new RawClient(endpoint);
  const { UpdateTopic, UpdateGroup } = brokerAdminService.methods;
  for (const feature of features) {
    const name = `${prefix}-${feature}`;
    const topic = { name, messageType: types[feature] ?? "NORMAL" };
    const { status } = await operator.call(UpdateTopic, topic);
    assert.equal(status?.code, 20_000, status?.message);
    const attributes = groups[feature];
    if (attributes === undefined) continue;
    const answer = await operator.call(UpdateGroup, { name, ...attributes });
    assert.equal(answer.status?.code, 20_000, answer.status?.message);
  }
  operator.close();
}
