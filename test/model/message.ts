// Messages as producers make them: what the model knows of a new one, and how it is sent.
import { type rocketmq, timestampOfMs } from "@cometmq/proto";
import type { Kind } from "./kinds.ts";
import type { Draft, Sent } from "./sent.ts";

/** What is known of a message before it is sent. */
export function sentOf(
  { name }: Kind,
  {
    draft,
    number,
    nowMs,
  }: { readonly draft: Draft; readonly number: number; readonly nowMs: number },
): Sent {
  return {
    id: `${name.toLowerCase()} ${number}`,
    kind: name,
    ...draft,
    sentAtMs: nowMs,
    storedByMs: Number.POSITIVE_INFINITY,
    stored: "maybe",
    queueId: -1,
    offset: -1,
    answeredOffset: -1,
    recallHandle: "",
    recalled: "no",
    transactionId: "",
    saidEnds: new Set(),
    end: undefined,
    askedAtMs: [],
    attempt: 0,
    hiddenUntilMs: 0,
    shownByMs: 0,
    renewedFor: "",
    handle: "",
    oldHandles: new Set(),
    changedAtMs: Number.NEGATIVE_INFINITY,
    done: "no",
    isEnding: false,
    isVague: false,
    isPassedOver: false,
  };
}

/** A message as it is sent. */
export function messageOf(kind: Kind, sent: Sent): rocketmq.v2.IMessage {
  const { id, tag, amount, messageGroup, liteTopic, priority, dueMs } = sent;
  return {
    topic: { name: kind.topic },
    systemProperties: {
      messageId: id,
      messageType: kind.messageType,
      tag,
      ...(kind.name === "PRIORITY" ? { priority } : {}),
      ...(messageGroup === "" ? {} : { messageGroup }),
      ...(liteTopic === "" ? {} : { liteTopic }),
      ...(dueMs === 0 ? {} : { deliveryTimestamp: timestampOfMs(dueMs) }),
    },
    ...(amount === "" ? {} : { userProperties: { amount } }),
    body: Buffer.from(id),
  };
}
