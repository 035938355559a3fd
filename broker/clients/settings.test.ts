import assert from "node:assert/strict";
import { msOfDuration, rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import { makeGroup } from "../metadata/index.ts";
import { orderedBatchSize, retryDialect } from "./identity.ts";
import {
  consumerSettings,
  producerSettings,
  readSettings,
  type ServerSettings,
} from "./settings.ts";

const { Settings } = rocketmq.v2;

/** Through bytes and back, as a client's settings come. */
function received(settings: rocketmq.v2.ISettings): rocketmq.v2.Settings {
  return Settings.decode(Settings.encode(settings).finish());
}

const producer = received({
  clientType: 1,
  accessPoint: { scheme: 1, addresses: [{ host: "127.0.0.1", port: 8081 }] },
  requestTimeout: { seconds: 3 },
  publishing: { topics: [{ resourceNamespace: "ns", name: "a" }] },
  userAgent: { version: "1.0" },
  metric: { on: true },
});

const consumer = received({
  clientType: 2,
  requestTimeout: { seconds: 3 },
  subscription: {
    group: { resourceNamespace: "ns", name: "g" },
    subscriptions: [{ topic: { name: "a" }, expression: { type: 1, expression: "x || y" } }],
    longPollingTimeout: { seconds: 30 },
  },
});

/** What a broker says to a client of `language`. */
function serverFor(language: string): Omit<ServerSettings, "bodySizeMax"> {
  return {
    dialect: retryDialect(language),
    orderedBatchSize: orderedBatchSize(language),
  };
}

function fails(settings: rocketmq.v2.ISettings, code: string): void {
  assert.throws(
    () => readSettings(received(settings)),
    (error: unknown) => error instanceof MqError && error.code === code && error.message !== "",
  );
}

function refuse(clientProperties: Record<string, string>): void {
  fails({ clientType: 1, publishing: {}, clientProperties }, "INVALID_CLIENT_PROPERTIES");
}

describe("settings", () => {
  it("reads a producer", () => {
    assert.deepEqual(readSettings(producer), { kind: "producer", type: 1, topics: ["a"] });
  });

  it("reads a consumer", () => {
    assert.deepEqual(readSettings(consumer), {
      kind: "consumer",
      type: 2,
      group: "g",
      subscriptions: [{ topic: "a", filterType: 1, expression: "x || y" }],
      pollingMs: 30_000,
      requestTimeoutMs: 3_000,
    });
  });

  it("reads consumers that receive and that pull", () => {
    for (const clientType of [2, 3, 4]) {
      const role = readSettings(received({ clientType, subscription: { group: { name: "g" } } }));
      assert.equal(role.type, clientType);
    }
  });

  it("refuses what is neither producer nor consumer", () => {
    fails({ clientType: 1 }, "BAD_REQUEST");
    fails({ clientType: 2, publishing: {} }, "UNRECOGNIZED_CLIENT_TYPE");
    fails({ publishing: {} }, "UNRECOGNIZED_CLIENT_TYPE");
    fails({ clientType: 1, subscription: { group: { name: "g" } } }, "UNRECOGNIZED_CLIENT_TYPE");
    fails({ clientType: 5, subscription: { group: { name: "g" } } }, "UNRECOGNIZED_CLIENT_TYPE");
    fails({ clientType: 3, subscription: {} }, "ILLEGAL_CONSUMER_GROUP");
  });

  it("refuses more topics than a client may name", () => {
    const topics = Array.from({ length: 4_097 }, (_, index) => ({ name: `t${index}` }));
    fails({ clientType: 1, publishing: { topics } }, "BAD_REQUEST");
    const subscriptions = topics.map((topic) => ({ topic }));
    fails({ clientType: 2, subscription: { group: { name: "g" }, subscriptions } }, "BAD_REQUEST");
  });

  it("refuses client properties over their limits", () => {
    refuse(Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`k${index}`, ""])));
    refuse({ "1a": "x" });
    refuse({ ["k".repeat(65)]: "x" });
    refuse({ "rocketmq.x": "x" });
    refuse({ k: "v".repeat(257) });
    refuse(
      Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`k${index}`, "v".repeat(250)])),
    );
    const clientProperties = { "team.name": "a", zone: "" };
    readSettings(received({ clientType: 1, publishing: {}, clientProperties }));
  });

  it("answers a producer with its own settings and what every client needs", () => {
    const answer = received(producerSettings(producer, { bodySizeMax: 4096 }));
    assert.equal(answer.metric?.on, false);
    assert.deepEqual(answer.accessPoint, producer.accessPoint);
    assert.deepEqual(answer.requestTimeout, producer.requestTimeout);
    assert.deepEqual(answer.publishing?.topics, producer.publishing?.topics);
    assert.equal(answer.clientType, 1);
    assert.equal(answer.publishing?.maxBodySize, 4096);
    assert.equal(answer.publishing?.validateMessageType, true);
    assert.equal(answer.backoffPolicy?.maxAttempts, 3);
    const backoff = answer.backoffPolicy?.exponentialBackoff;
    assert.equal(msOfDuration(backoff?.initial ?? {}), 10);
    assert.equal(msOfDuration(backoff?.max ?? {}), 1000);
    assert.equal(backoff?.multiplier, 2);
  });

  it("answers a consumer with the group's order, attempts and waits", () => {
    const group = makeGroup({ name: "g", consumeMessageOrderly: true, retryMaxTimes: 4 });
    const answer = received(consumerSettings(consumer, group, serverFor("JAVA")));
    const { subscription, backoffPolicy } = answer;
    assert.deepEqual(subscription?.group, consumer.subscription?.group);
    assert.deepEqual(subscription?.subscriptions, consumer.subscription?.subscriptions);
    assert.equal(subscription?.fifo, true);
    assert.equal(subscription?.receiveBatchSize, 32);
    assert.equal(msOfDuration(subscription?.longPollingTimeout ?? {}), 20_000);
    assert.equal(backoffPolicy?.maxAttempts, 5);
    const waits = backoffPolicy?.customizedBackoff?.next?.map((next) => msOfDuration(next));
    assert.deepEqual(waits?.slice(0, 4), [1_000, 5_000, 10_000, 30_000]);
    assert.equal(waits?.length, 18);
  });

  it("lets Go's consumers take one message at a time of an ordered group", () => {
    const sizes = ["GO", "JAVA"].flatMap((language) =>
      [true, false].map((consumeMessageOrderly) => {
        const group = makeGroup({ name: "g", consumeMessageOrderly });
        const { subscription } = consumerSettings(consumer, group, serverFor(language));
        return subscription?.receiveBatchSize;
      }),
    );
    assert.deepEqual(sizes, [1, 32, 32, 32]);
  });

  it("gives Node.js exponential waits in whole seconds, whatever the group says", () => {
    const group = makeGroup({ name: "g" });
    const answer = received(consumerSettings(consumer, group, serverFor("HTTP")));
    const backoff = answer.backoffPolicy?.exponentialBackoff;
    assert.equal(backoff?.initial?.seconds, 1);
    assert.equal(backoff?.max?.seconds, 7200);
    assert.equal(answer.backoffPolicy?.customizedBackoff ?? null, null);
    assert.equal(retryDialect("NODE_JS"), "exponential");
  });

  it("gives Python a list of waits for an exponential group, others the formula", () => {
    const group = makeGroup({
      name: "g",
      retryMaxTimes: 3,
      retryPolicy: { kind: "exponential", initialMs: 5_000, maxMs: 12_000, multiplier: 2 },
    });
    const python = received(consumerSettings(consumer, group, serverFor("PYTHON")));
    const next = python.backoffPolicy?.customizedBackoff?.next ?? [];
    assert.deepEqual(
      next.map((wait) => msOfDuration(wait)),
      [5_000, 10_000, 12_000, 12_000],
    );
    const go = received(consumerSettings(consumer, group, serverFor("GO")));
    assert.equal(msOfDuration(go.backoffPolicy?.exponentialBackoff?.initial ?? {}), 5_000);
  });
});
