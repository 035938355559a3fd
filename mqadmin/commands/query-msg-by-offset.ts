// queryMsgByOffset: the message at one place of a queue.
import { type Command, topicFlag } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import { deliveryGroupFlag, deliveryQuestion } from "../message-standing.ts";
import {
  bodyFormat,
  bodyFormatFlag,
  messagesAnswer,
  nothingFound,
  shownMessage,
} from "../messages.ts";

export const queryMsgByOffset: Command = {
  name: "queryMsgByOffset",
  summary: "show the message at an offset of a queue",
  flags: {
    ...topicFlag,
    brokerName: { short: "b", type: "string", value: "NAME", about: "broker name", required: true },
    queueId: { short: "i", type: "string", value: "N", about: "queue id", required: true },
    offset: { short: "o", type: "string", value: "N", about: "queue offset", required: true },
    ...deliveryGroupFlag,
    ...bodyFormatFlag,
  },
  async run(flags, session) {
    const topic = flags.required("topic");
    const name = flags.required("brokerName");
    const queueId = flags.int("queueId", { min: 0, max: 65_535 }) ?? 0;
    const offset = flags.int("offset", { min: 0, max: Number.MAX_SAFE_INTEGER }) ?? 0;
    const format = bodyFormat(flags);
    const owners = await session.owners(topic);
    const owner = owners.find((entry) => entry.broker === name);
    if (owner === undefined) {
      const names = owners.map((entry) => entry.broker).join(", ");
      throw new CommandFailure(`broker ${name} does not hold topic ${topic}; these do: ${names}`);
    }
    const answer = await session.call(
      owner.address,
      session.admin.QueryMessageByOffset,
      { topic, queueId, offset, deliveries: deliveryQuestion(flags) },
      nothingFound,
    );
    return messagesAnswer(
      (answer.messages ?? []).map((message) => shownMessage(message, format)),
      {
        what: `at offset ${offset} of queue ${queueId} of topic ${topic} on ${name}`,
      },
    );
  },
};
