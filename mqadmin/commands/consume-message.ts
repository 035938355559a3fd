// consumeMessage: looks at messages of a topic without taking them from anybody.
import { type Command, topicFlag } from "../command.ts";
import type { Flags } from "../flags.ts";
import { deliveryQuestion, deliveryText } from "../message-standing.ts";
import { nothingFound, type ShownMessage, shownMessage } from "../messages.ts";
import type { RouteEntry, Session } from "../session.ts";

const shownMax = 10_000;

export const consumeMessage: Command = {
  name: "consumeMessage",
  summary: "print messages of a topic; no group's progress changes",
  flags: {
    ...topicFlag,
    brokerName: { short: "b", type: "string", value: "NAME", about: "only this broker" },
    queueId: { short: "i", type: "string", value: "N", about: "only this queue" },
    offset: {
      short: "o",
      type: "string",
      value: "N",
      about: "from this offset (the oldest when not given)",
    },
    messageNumber: {
      short: "c",
      type: "string",
      value: "N",
      about: `at most so many (128), up to ${shownMax}`,
    },
    consumerGroup: {
      short: "g",
      type: "string",
      value: "GROUP",
      about: "tell where this group stands with each message",
    },
  },
  async run(flags, session) {
    const topic = flags.required("topic");
    const name = flags.text("brokerName");
    const isOfGroup = flags.text("consumerGroup") !== undefined;
    const countMax = flags.int("messageNumber", { min: 1, max: shownMax }) ?? 128;
    const found: ShownMessage[] = [];
    for (const owner of await session.owners(topic)) {
      if (name !== undefined && owner.broker !== name) continue;
      for await (const message of messagesOf({ owner, topic, flags, session })) {
        if (found.length >= countMax) break;
        found.push(message);
      }
    }
    return {
      json: found,
      table: {
        columns: ["Broker", "Queue", "Offset", "Stored", "Type", "Tag", "Message id"].concat(
          isOfGroup ? ["State", "Body"] : ["Body"],
        ),
        rows: found.map((m) => [
          m.broker,
          m.queueId,
          m.queueOffset,
          m.storeTime,
          kindText(m),
          m.tag,
          m.messageId,
          ...(isOfGroup ? [stateText(m)] : []),
          m.body.slice(0, 80),
        ]),
      },
    };
  },
};

/** The type, and what makes a message be of it. */
function kindText({ type, system }: ShownMessage): string {
  const { messageGroup, deliveryTime, priority, liteTopic } = system;
  const more = messageGroup ?? deliveryTime ?? priority ?? liteTopic;
  return more === undefined ? type : `${type} ${more}`;
}

function stateText({ deliveries }: ShownMessage): string {
  const [delivery] = deliveries ?? [];
  return delivery === undefined ? "no progress" : deliveryText(delivery);
}

async function* messagesOf(query: {
  readonly owner: RouteEntry;
  readonly topic: string;
  readonly flags: Flags;
  readonly session: Session;
}): AsyncGenerator<ShownMessage> {
  const { owner, topic, flags, session } = query;
  const onlyQueue = flags.int("queueId", { min: 0, max: 65_535 });
  const from = flags.int("offset", { min: 0, max: Number.MAX_SAFE_INTEGER });
  const { queues } = await session.call(owner.address, session.admin.GetTopicStatus, {
    name: topic,
  });
  for (const queue of queues ?? []) {
    const queueId = queue.queueId ?? 0;
    if (onlyQueue !== undefined && queueId !== onlyQueue) continue;
    const end = queue.maxOffset ?? 0;
    for (let offset = Math.max(from ?? 0, queue.minOffset ?? 0); offset < end; offset++) {
      const isOfGroup = flags.text("consumerGroup") !== undefined;
      const deliveries = isOfGroup ? { deliveries: deliveryQuestion(flags) } : {};
      const request = { topic, queueId, offset, ...deliveries };
      const { QueryMessageByOffset } = session.admin;
      const answer = await session.call(owner.address, QueryMessageByOffset, request, nothingFound);
      for (const message of answer.messages ?? []) {
        const { deliveries: asked, ...shown } = shownMessage(message);
        yield isOfGroup && asked !== undefined ? { ...shown, deliveries: asked } : shown;
      }
    }
  }
}
