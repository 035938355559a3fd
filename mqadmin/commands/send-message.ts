// sendMessage: puts one message into a topic, for a try.
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { messagingService } from "@cometmq/proto";
import { type Command, topicFlag } from "../command.ts";
import { CommandFailure } from "../failure.ts";

const normal = 1;
const identity = 1;

export const sendMessage: Command = {
  name: "sendMessage",
  summary: "send one message",
  flags: {
    ...topicFlag,
    body: {
      short: "p",
      type: "string",
      value: "TEXT",
      about: "body of the message",
      required: true,
    },
    key: { short: "k", type: "string", value: "KEYS", about: "message keys, separated by blanks" },
    tags: { short: "c", type: "string", value: "TAG", about: "tag" },
    broker: { short: "b", type: "string", value: "NAME", about: "send to this broker (with -i)" },
    qid: { short: "i", type: "string", value: "N", about: "send to this queue (with -b)" },
  },
  async run(flags, session) {
    const topic = flags.required("topic");
    const wanted = flags.text("broker");
    const owners = await session.owners(topic);
    const owner =
      wanted === undefined ? owners[0] : owners.find((entry) => entry.broker === wanted);
    if (owner === undefined)
      throw new CommandFailure(`broker ${wanted ?? ""} does not hold topic ${topic}`);
    const tag = flags.text("tags");
    const now = Date.now();
    const message = {
      topic: { name: topic },
      systemProperties: {
        ...(tag === undefined ? {} : { tag }),
        keys: (flags.text("key") ?? "").split(/\s+/).filter((key) => key !== ""),
        messageId: `01${randomBytes(16).toString("hex").toUpperCase()}`,
        bodyEncoding: identity,
        messageType: normal,
        bornTimestamp: { seconds: Math.floor(now / 1000), nanos: (now % 1000) * 1_000_000 },
        bornHost: hostname(),
        queueId: flags.int("qid", { min: 0, max: 65_535 }) ?? -1,
      },
      body: Buffer.from(flags.text("body") ?? ""),
    };
    const { SendMessage } = messagingService.methods;
    const { entries } = await session.call(owner.address, SendMessage, { messages: [message] });
    const entry = entries?.[0];
    const sent = {
      broker: owner.broker,
      messageId: entry?.messageId ?? "",
      offset: entry?.offset ?? 0,
    };
    return {
      json: sent,
      table: {
        columns: ["Broker", "Offset", "Message id"],
        rows: [[sent.broker, sent.offset, sent.messageId]],
      },
    };
  },
};
