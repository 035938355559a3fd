// QueryRoute as clients know it, from what brokers have told this NameServer.
import { Code, messagingService } from "@cometmq/proto";
import { MqError } from "../base/index.ts";
import { messageQueues, reachableHost } from "../route/index.ts";
import type { MethodHandler } from "../transport/index.ts";
import { askerOf, okStatus } from "./messages.ts";
import type { Registry } from "./registry.ts";
import { findTopic } from "./route-queries.ts";

/**
 * The calls of MessagingService by path: QueryRoute, and for every other one an answer that says where to go
 * instead, because a client was given this address where it needs a broker's.
 */
export function messagingMethods(registry: Registry): Map<string, MethodHandler> {
  const { QueryRoute } = messagingService.methods;
  const methods = new Map<string, MethodHandler>();
  for (const method of Object.values(messagingService.methods)) {
    methods.set(method.path, elsewhere(method));
  }
  methods.set(QueryRoute.path, {
    kind: "unary",
    handle: (bytes, call) => {
      const name = QueryRoute.request.decode(bytes).topic?.name ?? "";
      const places = findTopic(registry.state, name);
      if (places.length === 0) {
        // The text of RocketMQ, which programs compare with.
        const message = `CODE: 17  DESC: No topic route info in name server for the topic: ${name}`;
        return QueryRoute.response.encode({ status: { code: Code.TOPIC_NOT_FOUND, message } });
      }
      const queues = places.flatMap(({ broker, topic }) =>
        messageQueues(topic, {
          name: broker.brokerName,
          // Clients know a master by it, elected ones too.
          id: 0,
          host: reachableHost(broker, askerOf(call)),
          port: broker.port,
        }),
      );
      return QueryRoute.response.encode({ status: okStatus, messageQueues: queues });
    },
  });
  return methods;
}

function elsewhere(method: { readonly path: string; readonly kind: string }): MethodHandler {
  const refuse = (): never => {
    throw new MqError(
      "NOT_IMPLEMENTED",
      `${method.path}: this is a NameServer, which serves routes only; give the client the address of a broker (port 8081) as its endpoints`,
    );
  };
  if (method.kind === "bidi") return { kind: "bidi", handle: async () => refuse() };
  if (method.kind === "serverStream") return { kind: "serverStream", handle: async () => refuse() };
  return { kind: "unary", handle: refuse };
}
