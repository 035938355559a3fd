// getLiteTopicInfo: where the messages of one lite topic are, and who subscribes to it.
import type { cometmq } from "@cometmq/proto";
import type { Row } from "../answer.ts";
import type { Command } from "../command.ts";
import { askEach, heard, holders, liteTopicFlag, parentTopicFlag } from "../lite.ts";
import { moment } from "../printing.ts";

export const getLiteTopicInfo: Command = {
  name: "getLiteTopicInfo",
  summary: "show where the messages of a lite topic are, and how many clients subscribe to it",
  flags: {
    ...parentTopicFlag,
    liteTopic: { ...liteTopicFlag, required: true },
    showClientId: { short: "s", type: "boolean", about: "show the clients" },
  },
  async run(flags, session) {
    const topic = flags.required("parentTopic");
    const liteTopic = flags.required("liteTopic");
    const request = { topic, liteTopic };
    const { answers, failures } = await askEach(await holders(session, topic), (address) =>
      session.call(address, session.admin.GetLiteTopic, request),
    );
    const brokers = answers.map(({ broker, answer }) => shown(broker, answer));
    const showClients = flags.bool("showClientId") ?? false;
    const answer = {
      json: brokers,
      ...(showClients ? { lines: brokers.map((one) => clientLine(one)) } : {}),
      table: {
        columns: [
          "Broker",
          "Owner",
          "Queue",
          "Min",
          "Max",
          "Messages",
          "Last update",
          "Subscribers",
        ],
        rows: brokers.flatMap((one) => rowsOf(one)),
      },
    };
    return heard(answer, failures);
  },
};

type Shown = ReturnType<typeof shown>;

function shown(broker: string, answer: cometmq.v1.GetLiteTopicResponse) {
  return {
    broker,
    owner: answer.owner,
    places: answer.places.map((place) => ({
      queueId: place.queueId,
      minOffset: place.minOffset,
      maxOffset: place.maxOffset,
      messages: place.messages,
      lastUpdate: moment(place.lastUpdateMs),
    })),
    subscriberCount: answer.subscriberCount,
    subscribers: answer.subscribers.map(({ group, clientId }) => ({ group, clientId })),
  };
}

function rowsOf({ broker, owner, places, subscriberCount }: Shown): readonly Row[] {
  if (places.length === 0) return [[broker, owner, "-", "-", "-", 0, "-", subscriberCount]];
  return places.map((one) => [
    broker,
    owner,
    one.queueId,
    one.minOffset,
    one.maxOffset,
    one.messages,
    one.lastUpdate,
    subscriberCount,
  ]);
}

function clientLine({ broker, subscribers, subscriberCount }: Shown): string {
  const names = subscribers.map(({ group, clientId }) => `${clientId}@${group}`).sort();
  const more = subscriberCount - subscribers.length;
  const rest = more > 0 ? ` and ${more} more` : "";
  return `${broker}: ${names.join(", ") || "nobody"}${rest}`;
}
