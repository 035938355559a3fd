// QueryRoute as clients know it, from what brokers have told this NameServer.
import { Code, messagingService } from "@cometmq/proto";
import { MqError } from "../base/index.ts";
import { dialledHost, messageQueues } from "../route/index.ts";
import type { MethodHandler, ServerCall } from "../transport/index.ts";
import { okStatus } from "./messages.ts";
import type { Registry } from "./registry.ts";
import { findTopic } from "./route-queries.ts";
import type { BrokerEntry } from "./route-table.ts";

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
      const places = findTopic(registry.state, name).filter(({ broker }) => broker.brokerId === 0);
      if (places.length === 0) {
        // The text of RocketMQ, which programs compare with.
        const message = `CODE: 17  DESC: No topic route info in name server for the topic: ${name}`;
        return QueryRoute.response.encode({ status: { code: Code.TOPIC_NOT_FOUND, message } });
      }
      const queues = places.flatMap(({ broker, topic }) =>
        messageQueues(topic, {
          name: broker.brokerName,
          id: broker.brokerId,
          host: reachableHost(broker, call),
          port: broker.port,
        }),
      );
      return QueryRoute.response.encode({ status: okStatus, messageQueues: queues });
    },
  });
  return methods;
}

/**
 * The host to hand out: what the broker advertises, else where its connection came from. A broker on this machine
 * is where the client found this NameServer.
 */
function reachableHost(broker: BrokerEntry, call: ServerCall): string {
  if (broker.host !== "") return broker.host;
  if (!/^(?:127\.|::1$|::ffff:127\.)/.test(broker.observedHost)) return broker.observedHost;
  return dialledHost(call.authority) ?? call.connection.localAddress;
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
