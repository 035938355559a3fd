// The parts that decide without talking to anybody.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { JoinedSignal, onAbort } from "./abort-listeners.ts";
import { ClientError, statusError } from "./client-error.ts";
import { ConsumeResultSuspend } from "./consume-result.ts";
import { endpointsMessage, grpcTarget, parseEndpoints } from "./endpoints.ts";
import { FilterExpression } from "./filter-expression.ts";
import { createMessageId } from "./message-id.ts";
import { authorizationText, createClientId, RequestMetadata } from "./request-metadata.ts";
import { defaultConsumePolicy, delayAfter } from "./retry-policy.ts";
import { queueOfGroup, type Route, readableBrokers, writableBrokers } from "./route.ts";
import { RouteAnswers } from "./route-answers.ts";
import { SendBuffer } from "./send-buffer.ts";
import { defaultServerSettings, settingsMessage, withServerSettings } from "./settings.ts";
import { sipHash24 } from "./sip-hash.ts";
import { Bell, sleep } from "./timing.ts";
import { clientVersion } from "./version.ts";

function targets(text: string): string[] {
  return parseEndpoints(text).map(grpcTarget);
}

function queue(name: string, id: number, port: number, permission = 4, queueId = 0): object {
  return {
    id: queueId,
    permission,
    broker: { name, id, endpoints: { addresses: [{ host: "h", port }] } },
    acceptMessageTypes: [1],
  };
}

function ids(brokers: readonly { name: string; id: number }[]): string[] {
  return brokers.map((broker) => `${broker.name}${broker.id}`).sort();
}

describe("endpoints", () => {
  it("are read in every form, and written for gRPC", () => {
    assert.deepEqual(targets("127.0.0.1:8081"), ["ipv4:127.0.0.1:8081"]);
    assert.deepEqual(targets("a.example:80; b.example ,127.0.0.1:9;"), [
      "dns:a.example:80",
      "dns:b.example:8081",
      "ipv4:127.0.0.1:9",
    ]);
    assert.deepEqual(targets("[::1]:8081;[fe80::1]"), ["ipv6:[::1]:8081", "ipv6:[fe80::1]:8081"]);
    assert.deepEqual(targets("x:1;x:1"), ["dns:x:1"]);
    for (const bad of ["", " ; ", "http://x:1", "x:0", "x:70000", "x:y", "x:1/path", "a b:1"]) {
      assert.throws(() => parseEndpoints(bad), { code: "BAD_OPTION" }, bad);
    }
    assert.equal(endpointsMessage(parseEndpoints("1.2.3.4:5;1.2.3.5:5")).scheme, 1);
    assert.deepEqual(endpointsMessage(parseEndpoints("h:5;1.2.3.5:5")), {
      scheme: 3,
      addresses: [{ host: "h", port: 5 }],
    });
  });
});

/** The route of first answers, one a server. */
function routeOf(...answers: ReturnType<typeof queue>[][]): Route {
  const all = new RouteAnswers();
  answers.forEach((queues, index) => {
    all.take({ address: `ns${index}`, named: true, queues, nowMs: 0 });
  });
  return all.route("t", 0);
}

describe("routes", () => {
  it("are the union of all answers, in one order", () => {
    const a = [queue("a", 0, 1), queue("a", 0, 1, 4, 1), {}, { broker: { name: "x" } }];
    const b = [queue("b", 0, 2), queue("a", 0, 1)];
    const union = routeOf(a, b);
    assert.deepEqual(union, routeOf(b, a));
    assert.deepEqual(
      union.brokers.map((broker) => [broker.name, broker.writableQueueIds]),
      [
        ["a", [0, 1]],
        ["b", [0]],
      ],
    );
  });

  it("send to masters, and read from the lowest id of each name", () => {
    const { brokers } = routeOf([
      queue("a", 0, 1, 3),
      queue("a", 1, 2),
      queue("b", 2, 3),
      queue("b", 1, 4, 2),
    ]);
    assert.deepEqual(ids(writableBrokers(brokers)), ["a0"]);
    assert.deepEqual(ids(readableBrokers(brokers)), ["a1", "b1"]);
  });

  it("keep a message group on one queue", () => {
    const { groupQueues } = routeOf([queue("a", 0, 1), queue("b", 0, 2), queue("c", 0, 3)]);
    fc.assert(
      fc.property(fc.string(), (group) => {
        const place = queueOfGroup(groupQueues, sipHash24(group));
        assert.ok(place !== undefined);
        assert.deepEqual(place, queueOfGroup(groupQueues, sipHash24(group)));
      }),
    );
    assert.equal(queueOfGroup([], 1n), undefined);
  });
});

describe("SipHash-2-4", () => {
  it("gives the reference values", () => {
    // From the vectors of the SipHash authors: input 00 01 … of growing length.
    assert.equal(sipHash24(""), 0x726fdb47dd0e0e31n);
    assert.equal(sipHash24("\u0000"), 0x74f839c593dc67fdn);
    const fifteen = String.fromCharCode(...Array.from({ length: 15 }, (_, index) => index));
    assert.equal(sipHash24(fifteen), 0xa129ca6149be45e5n);
  });
});

describe("message and client ids", () => {
  it("have the official form and never repeat", () => {
    const made = Array.from({ length: 2_000 }, (_, index) =>
      createMessageId(1_700_000_000_000 + index),
    );
    assert.equal(new Set(made).size, made.length);
    for (const id of made) assert.match(id, /^01[0-9A-F]{32}$/);
    const seconds = Math.floor(1_700_000_000_000 / 1000) - Date.UTC(2021, 0, 1) / 1000;
    assert.equal(Number.parseInt(made[0]?.slice(18, 26) ?? "", 16), seconds);
    assert.match(createClientId(), /^.+@\d+@\d+@[0-9a-z]+$/);
    assert.notEqual(createClientId(), createClientId());
  });
});

describe("request headers", () => {
  it("carry the signature over their date", () => {
    const credentials = { accessKey: "AK", accessSecret: "secret", securityToken: "token" };
    const metadata = new RequestMetadata({ clientId: "c", namespace: "ns", credentials });
    const headers = metadata.current({ waitForReady: false }).getMap();
    const dateTime = String(headers["x-mq-date-time"]);
    assert.match(dateTime, /^\d{8}T\d{6}Z$/);
    const signature = createHmac("sha1", "secret").update(dateTime).digest("hex").toUpperCase();
    assert.equal(
      headers["authorization"],
      `MQv2-HMAC-SHA1 Credential=AK, SignedHeaders=x-mq-date-time, Signature=${signature}`,
    );
    assert.equal(headers["authorization"], authorizationText(credentials, dateTime));
    assert.equal(headers["x-mq-session-token"], "token");
    assert.equal(headers["x-mq-namespace"], "ns");
    assert.equal(headers["x-mq-client-id"], "c");
  });

  it("name the version of package.json", () => {
    const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
    assert.equal(clientVersion, JSON.parse(text).version);
  });
});

describe("errors", () => {
  it("say code, place and whether to try again", () => {
    const error = new ClientError("TIMEOUT", "too late", { address: "h:1", topic: "t" });
    assert.equal(error.message, "TIMEOUT: too late (topic t, server h:1)");
    assert.ok(error.retryable);
    assert.ok(!new ClientError("ILLEGAL_TOPIC", "x").retryable);
    assert.equal(statusError({ code: 20_000 }, "x", {}), undefined);
    assert.equal(statusError({ code: 42_900, message: "m" }, "x", {})?.code, "TOO_MANY_REQUESTS");
    for (const nonsense of [undefined, null, {}, { code: 0 }, { code: 77 }]) {
      assert.equal(statusError(nonsense, "x", {})?.code, "PROTOCOL");
    }
  });
});

describe("settings", () => {
  it("take over what a server says, but nothing that cannot work", () => {
    const silly = withServerSettings(defaultServerSettings, {
      publishing: { maxBodySize: 0, validateMessageType: false },
      subscription: { receiveBatchSize: 0, longPollingTimeout: { seconds: 0, nanos: 0 } },
      backoffPolicy: { maxAttempts: 0 },
    });
    assert.deepEqual(silly, { ...defaultServerSettings, validateMessageType: false });
    const settings = withServerSettings(defaultServerSettings, {
      subscription: {
        fifo: true,
        receiveBatchSize: 7,
        longPollingTimeout: { seconds: 2, nanos: 5e8 },
      },
      backoffPolicy: {
        maxAttempts: 4,
        exponentialBackoff: { initial: { seconds: 1 }, max: { seconds: 3 }, multiplier: 2 },
      },
    });
    assert.equal(settings.fifo, true);
    assert.equal(settings.receiveBatchCountMax, 7);
    assert.equal(settings.longPollingMs, 2_500);
    assert.deepEqual(
      [1, 2, 3, 4].map((attempt) => delayAfter(settings.consumePolicy, attempt)),
      [1_000, 2_000, 3_000, 3_000],
    );
    assert.deepEqual(
      [1, 2, 99].map((attempt) => delayAfter(defaultConsumePolicy, attempt)),
      [1_000, 5_000, 7_200_000],
    );
  });

  it("say what the client is", () => {
    const own = {
      kind: "pushConsumer",
      namespace: "ns",
      accessPoint: parseEndpoints("h:1"),
      requestTimeoutMs: 3_000,
      topics: [],
      consumerGroup: "g",
      subscriptions: new Map([["t", new FilterExpression("a||b")]]),
      longPollingMs: 30_000,
      attemptsMax: 3,
    } as const;
    const message = settingsMessage(own);
    assert.equal(message.clientType, 2);
    assert.equal(message.subscription?.subscriptions?.[0]?.expression?.expression, "a||b");
    assert.equal(settingsMessage({ ...own, kind: "producer" }).backoffPolicy?.maxAttempts, 3);
  });

  it("a suspend time is whole and at least 50 ms", () => {
    assert.equal(ConsumeResultSuspend.of(50).toString(), "SUSPEND(50ms)");
    for (const bad of [49, 50.5, Number.NaN]) {
      assert.throws(() => ConsumeResultSuspend.of(bad), RangeError);
    }
  });
});

describe("waiting", () => {
  it("serves many listeners of one signal, each until it leaves", () => {
    const controller = new AbortController();
    let calls = 0;
    const leaves = Array.from({ length: 100 }, () => onAbort(controller.signal, () => calls++));
    for (const leave of leaves.slice(0, 40)) leave();
    controller.abort();
    assert.equal(calls, 60);
  });

  it("joins signals, aborted ones too", () => {
    const [first, second] = [new AbortController(), new AbortController()];
    using joined = new JoinedSignal([first.signal, undefined, second.signal]);
    second.abort("why");
    assert.equal(joined.signal.reason, "why");
    using late = new JoinedSignal([second.signal]);
    assert.ok(late.signal.aborted);
  });

  it("a sleep and a bell end at the signal; a bell tells a ring from silence", async () => {
    const bell = new Bell();
    const rung = bell.wait(10_000);
    bell.ring();
    assert.equal(await rung, true);
    assert.equal(await bell.wait(1), false);
    const controller = new AbortController();
    const waits = [sleep(10_000, controller.signal), bell.wait(10_000, controller.signal)];
    controller.abort("enough");
    for (const wait of waits) await assert.rejects(wait, { cause: "enough" });
    await assert.rejects(sleep(1, controller.signal));
    await assert.rejects(bell.wait(1, controller.signal));
  });

  it("the send buffer lets in by order and size", async () => {
    const buffer = new SendBuffer({
      countMax: 10,
      sizeMaxBytes: 100,
      whenFull: "wait",
      waitMaxMs: 5_000,
    });
    assert.ok(buffer.tryEnter(500), "one always fits");
    assert.ok(!buffer.tryEnter(1));
    const order: number[] = [];
    const controller = new AbortController();
    const waits = [
      buffer.enter(90, undefined).then(() => order.push(1)),
      buffer.enter(50, controller.signal).then(() => order.push(2)),
      buffer.enter(10, undefined).then(() => order.push(3)),
    ];
    buffer.leave(500);
    await waits[0];
    assert.deepEqual(order, [1], "the one of 50 bytes stands in front of the one of 10");
    controller.abort();
    await assert.rejects(waits[1] ?? Promise.resolve());
    await waits[2];
    assert.deepEqual(order, [1, 3]);
    assert.equal(buffer.count, 2);
  });
});
