// The queues of a topic on this broker, as routes and assignments show them. Same topic, same answer: clients
// compare routes by content.
import type { rocketmq } from "@cometmq/proto";
import type { ServerCall } from "../../transport/index.ts";
import { permission, type TopicConfig } from "../metadata/index.ts";
import type { RemotingContext } from "./context.ts";
import { acceptedTypes } from "./message-type.ts";
import { routeAddress } from "./route-address.ts";

/** Values of `apache.rocketmq.v2.Permission`. */
const permissions = { none: 1, read: 2, write: 3, readWrite: 4 } as const;

/** This broker with the one address that the caller can reach. */
export function brokerFor(
  context: Pick<RemotingContext, "config" | "listenPort">,
  call: ServerCall,
  accessPoint: rocketmq.v2.IEndpoints | null | undefined,
): rocketmq.v2.IBroker {
  const { brokerName, brokerId, brokerIP1 } = context.config.values;
  const { scheme, host, port } = routeAddress({
    advertisedHost: brokerIP1,
    listenPort: context.listenPort(),
    accessPoint: (accessPoint?.addresses ?? []).map((address) => ({
      host: address.host ?? "",
      port: address.port ?? 0,
    })),
    authority: call.authority,
    localHost: call.connection.localAddress,
    localPort: call.connection.localPort,
  });
  return { name: brokerName, id: brokerId, endpoints: { scheme, addresses: [{ host, port }] } };
}

/** All queues of `topic`, by id. */
export function routeQueues(
  topic: TopicConfig,
  broker: rocketmq.v2.IBroker,
): rocketmq.v2.IMessageQueue[] {
  const readable = (topic.perm & permission.read) !== 0 ? topic.readQueueNums : 0;
  const writable = (topic.perm & permission.write) !== 0 ? topic.writeQueueNums : 0;
  const acceptMessageTypes = [...acceptedTypes(topic.messageType)];
  const queues: rocketmq.v2.IMessageQueue[] = [];
  // A topic that is closed for both still has one queue, so that clients see why.
  for (let id = 0; id < Math.max(readable, writable, 1); id++) {
    queues.push({
      topic: { name: topic.name },
      id,
      permission: permissionOf(id < readable, id < writable),
      broker,
      acceptMessageTypes,
    });
  }
  return queues;
}

/**
 * The queues a consumer shall ask for. Without order one entry of id -1 stands for all queues of this broker; with it
 * there is one entry a queue. Every member of the group gets all: the server shares messages out.
 */
export function assignedQueues(
  topic: TopicConfig,
  broker: rocketmq.v2.IBroker,
  ordered: boolean,
): rocketmq.v2.IMessageQueue[] {
  const ids = ordered ? Array.from({ length: topic.readQueueNums }, (_, id) => id) : [-1];
  const writable = (topic.perm & permission.write) !== 0 ? topic.writeQueueNums : 0;
  return ids.map((id) => ({
    topic: { name: topic.name },
    id,
    permission: permissionOf(true, id < writable),
    broker,
  }));
}

function permissionOf(readable: boolean, writable: boolean): number {
  if (readable) return writable ? permissions.readWrite : permissions.read;
  return writable ? permissions.write : permissions.none;
}
