// queryMsgById and queryMsgByUniqueKey: a message by the id its client gave it. In RocketMQ 5 the two are one.
import type { Command } from "../command.ts";
import { topicFlag } from "../command.ts";
import type { Flags } from "../flags.ts";
import { deliveryGroupFlag, deliveryQuestion } from "../message-standing.ts";
import {
  bodyFormat,
  bodyFormatFlag,
  messagesAnswer,
  nothingFound,
  searchOwners,
} from "../messages.ts";
import type { Session } from "../session.ts";

const idFlags = {
  ...topicFlag,
  msgId: { short: "i", type: "string", value: "ID", about: "message id", required: true },
  clusterName: { short: "c", type: "string", value: "NAME", about: "only brokers of this cluster" },
  ...deliveryGroupFlag,
  ...bodyFormatFlag,
} as const;

export const queryMsgById: Command = {
  name: "queryMsgById",
  summary: "show a message by its id, with its properties and where each group stands with it",
  flags: idFlags,
  run: search,
};

export const queryMsgByUniqueKey: Command = {
  name: "queryMsgByUniqueKey",
  summary: "show a message by its id (the same as queryMsgById)",
  flags: {
    ...idFlags,
    showAll: {
      short: "a",
      type: "boolean",
      about: "accepted for compatibility; all are always shown",
    },
  },
  run: search,
};

async function search(flags: Flags, session: Session): Promise<ReturnType<typeof messagesAnswer>> {
  const topic = flags.required("topic");
  const messageId = flags.required("msgId");
  const where = { topic, cluster: flags.text("clusterName"), format: bodyFormat(flags) };
  const request = { topic, messageId, deliveries: deliveryQuestion(flags) };
  const { QueryMessageById } = session.admin;
  const { messages, ...found } = await searchOwners(session, where, (address) =>
    session.call(address, QueryMessageById, request, nothingFound),
  );
  return messagesAnswer(messages, { what: `with id ${messageId} in topic ${topic}`, ...found });
}
