// What no client of good will sends: a broker answers it clearly, logs no failure of its own, keeps
// nothing of it, and serves the next one as if nothing had been.
import assert from "node:assert/strict";
import { Code } from "@cometmq/proto";
import * as grpc from "@grpc/grpc-js";
import * as fc from "fast-check";
import { type Logger, silentLogger } from "../../base/index.ts";
import { type BrokerFixture, startBroker } from "./broker-fixture.ts";
import { messagingService, type RawAnswer, RawClient } from "./raw-client.ts";
import { until } from "./waiting.ts";
import { damaged, wireNonsense } from "./wire-nonsense.ts";

const { methods } = messagingService;
const seed = Number(process.env["COMETMQ_SEED"] ?? Date.now() % 2 ** 31);
const callsAtOnce = 25;

/** A correct request of each method, to be damaged. */
const correct: Readonly<Record<keyof typeof methods, Uint8Array>> = {
  QueryRoute: methods.QueryRoute.request.encode({
    topic: { name: "t" },
    endpoints: { scheme: 1, addresses: [{ host: "127.0.0.1", port: 8081 }] },
  }),
  Heartbeat: methods.Heartbeat.request.encode({ group: { name: "g" }, clientType: 2 }),
  SendMessage: methods.SendMessage.request.encode({
    messages: [
      {
        topic: { name: "t" },
        userProperties: { key: "value" },
        systemProperties: {
          tag: "tag",
          keys: ["k1", "k2"],
          messageId: "id",
          bodyDigest: { type: 2, checksum: "5D41402ABC4B2A76B9719D911017C592" },
          messageType: 1,
          bornTimestamp: { seconds: 1_700_000_000, nanos: 5 },
          bornHost: "host",
        },
        body: Buffer.from("hello"),
      },
    ],
  }),
  QueryAssignment: methods.QueryAssignment.request.encode({
    topic: { name: "t" },
    group: { name: "g" },
    endpoints: { scheme: 1, addresses: [{ host: "127.0.0.1", port: 8081 }] },
  }),
  ReceiveMessage: methods.ReceiveMessage.request.encode({
    group: { name: "g" },
    messageQueue: { topic: { name: "t" }, id: 3, broker: { name: "broker-a" } },
    filterExpression: { type: 1, expression: "a || b" },
    batchSize: 4,
    invisibleDuration: { seconds: 15 },
    longPollingTimeout: { seconds: 5 },
    attemptId: "attempt",
  }),
  AckMessage: methods.AckMessage.request.encode({
    group: { name: "g" },
    topic: { name: "t" },
    entries: [{ messageId: "id", receiptHandle: "handle" }],
  }),
  ForwardMessageToDeadLetterQueue: methods.ForwardMessageToDeadLetterQueue.request.encode({
    group: { name: "g" },
    topic: { name: "t" },
    receiptHandle: "handle",
    messageId: "id",
    deliveryAttempt: 3,
    maxDeliveryAttempts: 3,
  }),
  ChangeInvisibleDuration: methods.ChangeInvisibleDuration.request.encode({
    group: { name: "g" },
    topic: { name: "t" },
    receiptHandle: "handle",
    invisibleDuration: { seconds: 3 },
    messageId: "id",
  }),
  Telemetry: methods.Telemetry.request.encode({
    settings: {
      clientType: 2,
      requestTimeout: { seconds: 3 },
      subscription: {
        group: { name: "g" },
        subscriptions: [{ topic: { name: "t" }, expression: { type: 1, expression: "*" } }],
      },
    },
  }),
  NotifyClientTermination: methods.NotifyClientTermination.request.encode({ group: { name: "g" } }),
  PullMessage: methods.PullMessage.request.encode({ batchSize: 1 }),
  UpdateOffset: methods.UpdateOffset.request.encode({ offset: 1 }),
  GetOffset: methods.GetOffset.request.encode({}),
  QueryOffset: methods.QueryOffset.request.encode({}),
  EndTransaction: methods.EndTransaction.request.encode({ transactionId: "id" }),
  RecallMessage: methods.RecallMessage.request.encode({ recallHandle: "handle" }),
  SyncLiteSubscription: methods.SyncLiteSubscription.request.encode({}),
};

describe(`nonsense from clients (COMETMQ_SEED=${seed})`, function () {
  this.timeout(60_000);
  let fixture: BrokerFixture;
  let client: RawClient;
  const failures: string[] = [];
  const logger: Logger = {
    ...silentLogger,
    error: (message, fields) => void failures.push(`${message} ${JSON.stringify(fields)}`),
    child: () => logger,
  };

  before(async () => {
    fixture = await startBroker({}, { logger });
    client = new RawClient(fixture.endpoints, "nonsense");
  });

  after(async () => {
    client.close();
    await fixture.close();
  });

  afterEach(async () => {
    assert.deepEqual(failures, []);
    await until("all polls to have ended", async () => await pollsAreGone(fixture));
    const sent = await client.call(methods.SendMessage, {
      messages: [
        { topic: { name: "sane" }, systemProperties: { messageId: "1" }, body: Buffer.from("x") },
      ],
    });
    assert.equal(sent.status?.code, 20_000, sent.status?.message);
  });

  for (const [name, method] of Object.entries(methods)) {
    it(`${name} answers whatever bytes it is given`, async () => {
      const request = correct[name as keyof typeof methods];
      const bytes = fc.oneof(
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }) },
        { weight: 3, arbitrary: wireNonsense },
        { weight: 4, arbitrary: damaged(request) },
      );
      await fc.assert(
        fc.asyncProperty(
          fc.array(bytes, { minLength: callsAtOnce, maxLength: callsAtOnce }),
          async (requests) => {
            const answers = await Promise.all(
              requests.map((each) => client.raw(method.path, each, { deadlineMs: 250 })),
            );
            answers.forEach((answer, index) => {
              const shown = Buffer.from(requests[index] ?? []).toString("hex");
              const isBidi = method.kind === "bidi";
              assertClear({ ...answer, isBidi }, (frame) => method.response.decode(frame), shown);
            });
            assert.deepEqual(failures, []);
          },
        ),
        { seed, numRuns: name === "SendMessage" ? 40 : 8 },
      );
    });
  }
});

const statusOk: number = grpc.status.OK;
const grpcStatusesAllowed: readonly number[] = [
  grpc.status.OK,
  grpc.status.INVALID_ARGUMENT,
  // Held polls and streams outlive the deadline of these calls.
  grpc.status.DEADLINE_EXCEEDED,
  grpc.status.CANCELLED,
];

/** Each answer has a status that the protocol knows, in band or as that of the call. */
function assertClear(
  answer: RawAnswer & { readonly isBidi: boolean },
  decode: (frame: Uint8Array) => { readonly status?: { readonly code: number } | null },
  request: string,
): void {
  const context = `${request}: ${answer.grpcStatus} ${answer.text}`;
  assert.ok(grpcStatusesAllowed.includes(answer.grpcStatus), context);
  if (answer.grpcStatus !== statusOk) return;
  const [first] = answer.frames;
  // A telemetry stream on which a client asks nothing is told nothing.
  if (first === undefined && answer.isBidi) return;
  assert.ok(first, context);
  const code = decode(first).status?.code ?? 0;
  assert.ok(Code[code] !== undefined && code !== 0, `${context} code ${code}`);
  assert.notEqual(code, 50_001, context);
}

async function pollsAreGone(fixture: BrokerFixture): Promise<boolean> {
  return /^cometmq_held_polls\{[^}]*\} 0$/m.test(await fixture.broker.metrics.text());
}
