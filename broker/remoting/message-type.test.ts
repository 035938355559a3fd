// Every kind of message against every type of topic.
import assert from "node:assert/strict";
import { messagingService, rocketmq } from "@cometmq/proto";
import { TestBroker } from "./testkit/index.ts";

const { QueryRoute, SendMessage } = messagingService.methods;
const { Code, MessageType } = rocketmq.v2;

type Properties = rocketmq.v2.ISystemProperties;

function message(messageId: string, properties: Properties = {}): rocketmq.v2.IMessage {
  const systemProperties = { messageId, messageType: 1, bodyEncoding: 1, ...properties };
  return { topic: { name: "t" }, body: Buffer.from("x"), systemProperties };
}

/** What a message carries to be of a kind. */
const kinds: Readonly<Record<string, Properties>> = {
  NORMAL: {},
  FIFO: { messageGroup: "g", messageType: 2 },
  DELAY: { deliveryTimestamp: { seconds: 4_000_000_000 }, messageType: 3 },
  TRANSACTION: { messageType: 4 },
  LITE: { liteTopic: "l", messageType: 5 },
  PRIORITY: { priority: 3, messageType: 6 },
};

/** By type of topic: the kinds that it accepts, in routes and in sends. */
const accepted: Readonly<Record<string, readonly string[]>> = {
  NORMAL: ["NORMAL"],
  FIFO: ["FIFO"],
  DELAY: ["DELAY"],
  TRANSACTION: ["TRANSACTION"],
  PRIORITY: ["PRIORITY"],
  LITE: ["LITE"],
  MIXED: ["NORMAL", "FIFO", "DELAY", "TRANSACTION"],
};

describe("the type of a message against the type of its topic", () => {
  for (const [type, takes] of Object.entries(accepted)) {
    it(`${type} takes ${takes.join(", ")} and no other`, async () => {
      const broker = new TestBroker();
      await broker.metadata.updateTopic({ name: "t", attributes: { "message.type": type } });
      const route = QueryRoute.response.decode(
        await broker.unary(QueryRoute.path, QueryRoute.request.encode({ topic: { name: "t" } })),
      );
      assert.ok(route.messageQueues.length > 0);
      for (const { acceptMessageTypes } of route.messageQueues) {
        assert.deepEqual(
          acceptMessageTypes.map((number) => MessageType[number]),
          takes,
        );
      }
      for (const [kind, properties] of Object.entries(kinds)) {
        const request = SendMessage.request.encode({ messages: [message(kind, properties)] });
        const { status } = SendMessage.response.decode(
          await broker.unary(SendMessage.path, request),
        );
        const code = takes.includes(kind) ? Code.OK : Code.MESSAGE_PROPERTY_CONFLICT_WITH_TYPE;
        assert.equal(status?.code, code, `${kind} to ${type}: ${status?.message}`);
        if (!takes.includes(kind)) {
          const said = `the message is of type ${kind}, but topic "t" accepts ${takes.join(", ")}`;
          assert.equal(status?.message, said);
        }
      }
    });
  }
});
