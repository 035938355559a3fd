// getBrokerLiteInfo: what lite topics cost brokers, and how near their bounds they are.
import type { cometmq } from "@cometmq/proto";
import { type Command, targetFlags } from "../command.ts";
import { askEach, expirationText, heard } from "../lite.ts";

export const getBrokerLiteInfo: Command = {
  name: "getBrokerLiteInfo",
  summary: "show how many lite topics and subscriptions masters have, and how many they may have",
  flags: {
    ...targetFlags,
    showDetail: { short: "d", type: "boolean", about: "show each LITE topic and its groups" },
  },
  async run(flags, session) {
    const masters = await session.masters(flags);
    const { answers, failures } = await askEach(masters, (address) =>
      session.call(address, session.admin.GetLiteSummary, {}),
    );
    const brokers = answers.map(({ broker, answer }) => shown(broker, answer));
    const detail = flags.bool("showDetail") ?? false;
    const answer = {
      json: brokers,
      ...(detail ? { lines: brokers.flatMap((one) => topicLines(one)) } : {}),
      table: {
        columns: [
          "Broker",
          "Lite topics",
          "At most",
          "Messages",
          "At most",
          "Subscriptions",
          "At most",
          "Clients",
          "Progress",
          "Expired",
        ],
        rows: brokers.map((one) => [
          one.broker,
          one.liteTopics,
          one.liteTopicsMax,
          one.messages,
          one.messagesMax,
          one.subscriptions,
          one.subscriptionsMax,
          one.clients,
          one.progress,
          one.expired,
        ]),
      },
    };
    return heard(answer, failures);
  },
};

type Summary = ReturnType<typeof shown>;

function shown(broker: string, answer: cometmq.v1.GetLiteSummaryResponse) {
  return {
    broker,
    liteTopics: answer.liteTopics,
    liteTopicsMax: answer.liteTopicsMax,
    messages: answer.messages,
    messagesMax: answer.messagesMax,
    subscriptions: answer.subscriptions,
    subscriptionsMax: answer.subscriptionsMax,
    clients: answer.clients,
    progress: answer.progress,
    expired: answer.expired,
    topics: answer.topics.map((topic) => ({
      topic: topic.topic,
      expirationMinutes: topic.expirationMinutes,
      liteTopics: topic.liteTopics,
      messages: topic.messages,
      groups: topic.groups,
    })),
  };
}

function topicLines({ broker, topics }: Summary): readonly string[] {
  if (topics.length === 0) return [`${broker}: no topic of type LITE`];
  return topics.map(({ topic, expirationMinutes, liteTopics, messages, groups }) => {
    const counts = `${liteTopics} lite topics, ${messages} messages`;
    const expiration = `expiration ${expirationText(expirationMinutes)}`;
    return `${broker} ${topic}: ${counts}, ${expiration}, groups ${groups.join(", ") || "none"}`;
  });
}
