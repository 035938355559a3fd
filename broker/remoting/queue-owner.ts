// Calls about one queue belong to the broker that holds it: its name stands beside the queue. Without a name they are
// this broker's if it has the topic, else of the first broker that has.
import type { rocketmq } from "@cometmq/proto";
import type { ServerCall } from "../../transport/index.ts";
import { isPassedOn } from "../cluster/index.ts";
import { checkTopicName } from "../metadata/index.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { type Passing, passOn, untilServed } from "./owner.ts";

/** A queue as far as its owner is concerned. */
export interface OwnedQueue {
  readonly topic: string;
  /** Empty: any broker of the topic. */
  readonly brokerName: string;
}

/** The queue that a request names. */
export function ownedQueue(queue: rocketmq.v2.IMessageQueue | null | undefined): OwnedQueue {
  return { topic: queue?.topic?.name ?? "", brokerName: queue?.broker?.name ?? "" };
}

/** Whether this broker serves it, as far as that can be said without asking anybody. */
export function isQueueHere(
  context: RemotingContext,
  { topic, brokerName }: OwnedQueue,
  call: Pick<ServerCall, "header">,
): boolean {
  const parts = context.local();
  if (parts === undefined) return false;
  const { isAlone } = context.cluster.view;
  if (brokerName === context.config.values.brokerName || isPassedOn(call) || isAlone) return true;
  return brokerName === "" && parts.metadata.topic(topic) !== undefined;
}

/** Where it is served: here, at an address, or undefined while nobody is known. */
export async function queueAddress(
  context: RemotingContext,
  { topic, brokerName }: OwnedQueue,
): Promise<string | undefined> {
  const { view } = context.cluster;
  if (brokerName === context.config.values.brokerName) return await view.ownMaster();
  if (brokerName !== "") {
    const places = await view.knownTopic(topic);
    const place = places.find((one) => one.brokerName === brokerName);
    return (place ?? (await view.broker(brokerName)))?.address;
  }
  const [first] = await view.topic(topic);
  if (first !== undefined) return first.isOwn ? hereAddress : first.address;
  return context.local() === undefined ? await view.ownMaster() : hereAddress;
}

/** What `queueAddress` gives for this broker. */
export const hereAddress = "here";

/**
 * Lets who owns `queue` answer the call: this broker through `here`, or another. Throws ILLEGAL_TOPIC, HA_NOT_AVAILABLE
 * when nobody serves it in time, and what ends a call.
 */
export async function byQueueOwner<Answer>(
  context: RemotingContext,
  call: ServerCall,
  task: {
    readonly queue: OwnedQueue;
    readonly passing: Passing;
    readonly here: (parts: LocalParts) => Promise<Answer>;
  },
): Promise<Answer | Uint8Array> {
  const { queue, passing, here } = task;
  checkTopicName(queue.topic);
  return await untilServed<Answer | Uint8Array>(context, call, async () => {
    const parts = context.local();
    if (parts !== undefined && isQueueHere(context, queue, call)) return await here(parts);
    if (isPassedOn(call)) return undefined;
    const address = await queueAddress(context, queue);
    if (address === undefined) return undefined;
    if (address !== hereAddress) return await passOn(context, call, { address, passing });
    const own = context.local();
    return own === undefined ? undefined : await here(own);
  });
}
