// A message of a message group that lives on another broker of its topic: the send goes there, and waits for that broker
// while it is down, so that the order is kept.
import { type MessageView, messagingService } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import type { ServerCall } from "../../transport/index.ts";
import { hopHeaders } from "../cluster/index.ts";
import { brokerOfMessageGroup, messageGroupHash } from "../delivery/index.ts";
import { brokersOfTopic, fifoFailoverKey, type TopicConfig } from "../metadata/index.ts";
import type { RemotingContext } from "./context.ts";
import { passOn, untilServed } from "./owner.ts";

const { path } = messagingService.methods.SendMessage;

/** Brokers among which the message groups of `topic` are spread; undefined when there is one only. */
export function groupBrokersOf(topic: TopicConfig): readonly string[] | undefined {
  const brokers = brokersOfTopic(topic);
  return brokers.length > 1 ? brokers : undefined;
}

/**
 * The broker, other than `own`, that the message groups or lite topics of a request live on; undefined when they live here, or none of
 * the messages has one. Throws BAD_REQUEST when they live on several.
 */
export function foreignOwner(
  messages: readonly MessageView[],
  brokers: readonly string[],
  own: string,
): string | undefined {
  let owner: string | undefined;
  for (const { messageGroup, liteTopic } of messages) {
    const ordered = messageGroup || liteTopic;
    if (!ordered) continue;
    const found = brokerOfMessageGroup(messageGroupHash(ordered), brokers);
    if (owner !== undefined && found !== owner) {
      throw new MqError(
        "BAD_REQUEST",
        "the request holds messages of message groups that live on different brokers; send one message group at a time",
      );
    }
    owner = found;
  }
  return owner === own ? undefined : owner;
}

/** Whether a broker has passed the call on because the message group lives here. */
export function isPassedToOwner(call: Pick<ServerCall, "header">): boolean {
  return call.header(hopHeaders.toOwner) !== undefined;
}

/** A send for another broker. */
export interface ForeignSend {
  readonly topic: TopicConfig;
  readonly owner: string;
  /** A copy of the request. */
  readonly request: Uint8Array;
  readonly call: ServerCall;
}

/**
 * Gives the owner's answer; undefined when it is to be taken here, since the owner is not there and the topic prefers that
 * (`fifo.failover`). Throws HA_NOT_AVAILABLE when the owner has not come in time.
 */
export async function sendToOwner(
  context: RemotingContext,
  { topic, owner, request, call }: ForeignSend,
): Promise<Uint8Array | undefined> {
  const headers = { [hopHeaders.toOwner]: "1" };
  const passing = { path, request, topic: topic.name, brokerName: owner, headers };
  const attempt = async (): Promise<Uint8Array | undefined> => {
    const places = await context.cluster.view.topic(topic.name);
    const place = places.find(({ brokerName }) => brokerName === owner);
    if (place === undefined || place.isOwn || !place.canSend) return undefined;
    return await passOn(context, call, { address: place.address, passing });
  };
  if (topic.attributes[fifoFailoverKey] === "true") return await attempt();
  try {
    return await untilServed(context, call, attempt);
  } catch (error) {
    if (!(error instanceof MqError) || error.code !== "HA_NOT_AVAILABLE") throw error;
    throw new MqError(
      "HA_NOT_AVAILABLE",
      `the message group lives on broker ${owner}, which is not there now; its messages wait for it, so that they keep their order (attribute ${fifoFailoverKey})`,
    );
  }
}
