// Queues as routes and assignments show them: those of this broker and of all others that serve the topic. Same topic,
// same answer: clients compare routes by content.
import type { rocketmq } from "@cometmq/proto";
import {
  messageQueues,
  type RegisteredTopic,
  type RouteBroker,
  type RouteQueue,
  reachableHost,
} from "../../route/index.ts";
import type { ServerCall } from "../../transport/index.ts";
import { isWritable, type Place, type TopicPlace } from "../cluster/index.ts";
import { checkTopicName } from "../metadata/index.ts";
import type { RemotingContext } from "./context.ts";
import { topicFor } from "./resources.ts";
import { routeAddress } from "./route-address.ts";

/** Who asks, and for what access point. */
export interface RouteQuestion {
  readonly call: ServerCall;
  /** The `endpoints` of the request. */
  readonly accessPoint: rocketmq.v2.Endpoints | null;
}

/** A broker with the one address that the caller can reach. Clients know the master, elected or not, by the id 0. */
export function brokerFor(
  context: Pick<RemotingContext, "config" | "listenPort">,
  place: Place,
  { call, accessPoint }: RouteQuestion,
): RouteBroker {
  const { localAddress, localPort } = call.connection;
  const { brokerName: name } = place;
  if (!place.isOwn) {
    const host = reachableHost(place, { authority: call.authority, localAddress });
    return { name, id: 0, host, port: place.port };
  }
  const address = routeAddress({
    advertisedHost: context.config.values.brokerIP1,
    listenPort: context.listenPort(),
    accessPoint: accessPoint?.addresses ?? [],
    authority: call.authority,
    localHost: localAddress,
    localPort,
  });
  return { name, id: 0, ...address };
}

/**
 * Where a topic is: brokers that take messages first, then those that only give them, each by name. Made here when
 * nobody has it and that is allowed. Undefined: nobody is known who has it, and this broker cannot tell whether there
 * is one. Throws ILLEGAL_TOPIC, TOPIC_NOT_FOUND.
 */
export async function placesFor(
  context: RemotingContext,
  topic: string,
): Promise<readonly TopicPlace[] | undefined> {
  const { view } = context.cluster;
  if (context.local()?.metadata.topic(topic) === undefined) checkTopicName(topic);
  let places = await view.topic(topic);
  if (places.length === 0) {
    const local = context.local();
    if (local?.canSend !== true) return undefined;
    await topicFor({ config: context.config, metadata: local.metadata }, topic);
    places = await view.topic(topic);
  }
  if (places.length === 0) return undefined;
  const givesOnly = places.filter((place) => !takes(place));
  return givesOnly.length === 0 ? places : [...places.filter(takes), ...givesOnly];
}

/** An acting master is listed as its master was: it passes sends on. */
function takes(place: TopicPlace): boolean {
  return isWritable({ ...place, canSend: true });
}

/**
 * The queues a consumer shall ask for; `topic` is readable. Without order one entry of id -1 stands for all queues of
 * the broker; with it there is one entry a queue. Every member of the group gets all: the server shares messages out.
 */
export function assignedQueues(
  topic: RegisteredTopic,
  broker: RouteBroker,
  ordered: boolean,
): RouteQueue[] {
  const queues = messageQueues(topic, broker).slice(0, topic.readQueueNums);
  if (ordered) return queues.map((queue) => ({ ...queue, acceptMessageTypes: [] }));
  return queues.slice(0, 1).map((queue) => ({ ...queue, id: -1, acceptMessageTypes: [] }));
}
