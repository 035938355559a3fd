// getParentTopicInfo: a LITE topic on each master.
import type { Command } from "../command.ts";
import { askEach, expirationText, heard, holders, parentTopicFlag } from "../lite.ts";

export const getParentTopicInfo: Command = {
  name: "getParentTopicInfo",
  summary: "show how many lite topics a topic of type LITE has, and which groups consume them",
  flags: parentTopicFlag,
  async run(flags, session) {
    const topic = flags.required("parentTopic");
    const { answers, failures } = await askEach(await holders(session, topic), (address) =>
      session.call(address, session.admin.GetLiteParent, { topic }),
    );
    const parents = answers.map(({ broker, answer: { parent, brokerLiteTopics } }) => ({
      broker,
      topic,
      expirationMinutes: parent?.expirationMinutes ?? -1,
      liteTopics: parent?.liteTopics ?? 0,
      messages: parent?.messages ?? 0,
      brokerLiteTopics,
      groups: parent?.groups ?? [],
    }));
    const answer = {
      json: parents,
      table: {
        columns: [
          "Broker",
          "Expiration",
          "Lite topics",
          "Messages",
          "Lite topics of the broker",
          "Groups",
        ],
        rows: parents.map((one) => [
          one.broker,
          expirationText(one.expirationMinutes),
          one.liteTopics,
          one.messages,
          one.brokerLiteTopics,
          one.groups.join(",") || "-",
        ]),
      },
    };
    return heard(answer, failures);
  },
};
