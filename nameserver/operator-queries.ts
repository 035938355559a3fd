// What operators ask a NameServer: clusters, topics, the raw route of a topic.
import { Code, type Method, nameServerService } from "@cometmq/proto";
import type { MethodHandler, ServerCall } from "../transport/index.ts";
import { askerOf, okStatus, writeBroker, writeTopicPlace } from "./messages.ts";
import type { Registry } from "./registry.ts";
import { findTopic, listBrokers, listTopics } from "./route-queries.ts";

/** The calls for operators by path. */
export function operatorMethods(registry: Registry): Map<string, MethodHandler> {
  const { ClusterList, ListTopics, QueryTopicRoute } = nameServerService.methods;
  return new Map([
    answer(ClusterList, ({ cluster, brokerName }, call) => ({
      status: okStatus,
      brokers: listBrokers(registry.state, {
        ...(cluster ? { cluster } : {}),
        ...(brokerName ? { brokerName } : {}),
      }).map((broker) =>
        writeBroker(broker, { startedAtMs: registry.startedAtMs, asker: askerOf(call) }),
      ),
      upMs: registry.upMs,
    })),
    answer(ListTopics, ({ cluster }) => ({
      status: okStatus,
      topics: listTopics(registry.state, cluster ?? undefined).map((topic) => ({
        name: topic.name,
        clusters: [...topic.clusters],
        messageType: topic.messageType,
      })),
    })),
    answer(QueryTopicRoute, ({ topic }, call) => {
      const places = findTopic(registry.state, topic);
      const { upMs } = registry;
      if (places.length > 0) {
        const asker = askerOf(call);
        const entries = places.map((place) => writeTopicPlace(place, asker));
        return { status: okStatus, entries, upMs };
      }
      const message = `no registered broker holds the topic ${topic}`;
      return { status: { code: Code.TOPIC_NOT_FOUND, message }, upMs };
    }),
  ]);
}

function answer<Req, IReq, Res, IRes>(
  method: Method<"unary", Req, IReq, Res, IRes>,
  handle: (request: Req, call: ServerCall) => IRes,
): [string, MethodHandler] {
  return [
    method.path,
    {
      kind: "unary",
      handle: (bytes, call) => method.response.encode(handle(method.request.decode(bytes), call)),
    },
  ];
}
