// queryMsgByKey: messages that carry a key.
import { type Command, topicFlag } from "../command.ts";
import { deliveryGroupFlag, deliveryQuestion } from "../message-standing.ts";
import {
  bodyFormat,
  bodyFormatFlag,
  messagesAnswer,
  nothingFound,
  searchOwners,
} from "../messages.ts";

const foundMax = 64;

export const queryMsgByKey: Command = {
  name: "queryMsgByKey",
  summary: "show the messages of a topic that carry a key, newest first",
  flags: {
    ...topicFlag,
    msgKey: { short: "k", type: "string", value: "KEY", about: "message key", required: true },
    beginTimestamp: {
      short: "b",
      type: "string",
      value: "TIME",
      about: "stored at or after (ms or ISO 8601)",
    },
    endTimestamp: { short: "e", type: "string", value: "TIME", about: "stored at or before" },
    maxNum: { short: "m", type: "string", value: "N", about: `at most so many, up to ${foundMax}` },
    clusterName: {
      short: "c",
      type: "string",
      value: "NAME",
      about: "only brokers of this cluster",
    },
    ...deliveryGroupFlag,
    ...bodyFormatFlag,
  },
  async run(flags, session) {
    const topic = flags.required("topic");
    const key = flags.required("msgKey");
    const maxMessages = flags.int("maxNum", { min: 1, max: foundMax }) ?? foundMax;
    const request = {
      topic,
      key,
      beginMs: flags.time("beginTimestamp") ?? 0,
      endMs: flags.time("endTimestamp") ?? 0,
      maxMessages,
      deliveries: deliveryQuestion(flags),
    };
    const where = { topic, cluster: flags.text("clusterName"), format: bodyFormat(flags) };
    const { QueryMessageByKey } = session.admin;
    const { messages, ...found } = await searchOwners(session, where, (address) =>
      session.call(address, QueryMessageByKey, request, nothingFound),
    );
    const newestFirst = messages.toSorted((a, b) => (a.storeTime < b.storeTime ? 1 : -1));
    return messagesAnswer(newestFirst.slice(0, maxMessages), {
      what: `with key ${key} in topic ${topic}`,
      ...found,
    });
  },
};
