// This broker's queues as routes and assignments show them. Same topic, same answer: clients compare routes by
// content.
import type { rocketmq } from "@cometmq/proto";
import { messageQueues, type RouteBroker, type RouteQueue } from "../../route/index.ts";
import type { ServerCall } from "../../transport/index.ts";
import type { TopicConfig } from "../metadata/index.ts";
import type { RemotingContext } from "./context.ts";
import { routeAddress } from "./route-address.ts";

/** This broker with the one address that the caller can reach. */
export function brokerFor(
  context: Pick<RemotingContext, "config" | "listenPort">,
  call: ServerCall,
  accessPoint: rocketmq.v2.Endpoints | null,
): RouteBroker {
  const { brokerName, brokerId, brokerIP1 } = context.config.values;
  const address = routeAddress({
    advertisedHost: brokerIP1,
    listenPort: context.listenPort(),
    accessPoint: accessPoint?.addresses ?? [],
    authority: call.authority,
    localHost: call.connection.localAddress,
    localPort: call.connection.localPort,
  });
  return { name: brokerName, id: brokerId, ...address };
}

/**
 * The queues a consumer shall ask for; `topic` is readable. Without order one entry of id -1 stands for all queues of
 * this broker; with it there is one entry a queue. Every member of the group gets all: the server shares messages out.
 */
export function assignedQueues(
  topic: TopicConfig,
  broker: RouteBroker,
  ordered: boolean,
): RouteQueue[] {
  const queues = messageQueues(topic, broker).slice(0, topic.readQueueNums);
  if (ordered) return queues.map((queue) => ({ ...queue, acceptMessageTypes: [] }));
  return queues.slice(0, 1).map((queue) => ({ ...queue, id: -1, acceptMessageTypes: [] }));
}
