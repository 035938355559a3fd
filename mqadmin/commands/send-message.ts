// sendMessage: puts one message of any kind into a topic, for a try.
import { messagingService, rocketmq } from "@cometmq/proto";
import { type Command, topicFlag } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import { contentFlags, kindFlags, messageOf, type TransactionWish } from "../new-message.ts";
import type { Session } from "../session.ts";

const { TransactionResolution, TransactionSource } = rocketmq.v2;

export const sendMessage: Command = {
  name: "sendMessage",
  summary: "send one message, of any kind",
  flags: {
    ...topicFlag,
    ...contentFlags,
    ...kindFlags,
    broker: { short: "b", type: "string", value: "NAME", about: "send to this broker (with -i)" },
    qid: { short: "i", type: "string", value: "N", about: "send to this queue (with -b)" },
    msgTraceEnable: {
      short: "m",
      type: "string",
      value: "true|false",
      about: "accepted for compatibility; not used",
    },
  },
  async run(flags, session) {
    const topic = flags.required("topic");
    const { message, transaction } = messageOf(flags, topic);
    const wanted = flags.text("broker");
    const owners = await session.owners(topic);
    const owner =
      wanted === undefined ? owners[0] : owners.find((entry) => entry.broker === wanted);
    if (owner === undefined) {
      const names = owners.map(({ broker }) => broker).join(", ");
      throw new CommandFailure(
        `broker ${wanted ?? ""} does not hold topic ${topic}; these do: ${names || "none"}`,
      );
    }
    const { SendMessage } = messagingService.methods;
    const { entries } = await session.call(owner.address, SendMessage, { messages: [message] });
    const entry = entries?.[0];
    const messageId = entry?.messageId ?? "";
    const transactionId = entry?.transactionId ?? "";
    const recallHandle = entry?.recallHandle ?? "";
    if (transaction !== undefined && transaction !== "open") {
      await end(session, owner.address, { topic, messageId, transactionId }, transaction);
    }
    const sent = {
      broker: owner.broker,
      messageId,
      offset: entry?.offset ?? 0,
      ...(transaction === undefined ? {} : { transactionId, transaction: endText[transaction] }),
      ...(recallHandle === "" ? {} : { recallHandle }),
    };
    const more = transaction === undefined ? [] : [endText[transaction]];
    return {
      json: sent,
      table: {
        columns: ["Broker", "Offset", "Message id", ...more.map(() => "Transaction")],
        rows: [[sent.broker, sent.offset, sent.messageId, ...more]],
      },
    };
  },
};

const endText: Readonly<Record<TransactionWish, string>> = {
  commit: "committed",
  rollback: "rolled back",
  open: "open",
};

async function end(
  session: Session,
  address: string,
  half: { readonly topic: string; readonly messageId: string; readonly transactionId: string },
  wish: "commit" | "rollback",
): Promise<void> {
  const { topic, messageId, transactionId } = half;
  const { COMMIT, ROLLBACK } = TransactionResolution;
  await session.call(address, messagingService.methods.EndTransaction, {
    topic: { name: topic },
    messageId,
    transactionId,
    resolution: wish === "commit" ? COMMIT : ROLLBACK,
    source: TransactionSource.SOURCE_CLIENT,
  });
}
