// What operators ask a NameServer: clusters, topics, the raw route of a topic.
import { Code, type Method, nameServerService } from "@cometmq/proto";
import type { MethodHandler } from "../transport/index.ts";
import { okStatus, writeBroker, writeTopicPlace } from "./messages.ts";
import type { Registry } from "./registry.ts";
import { findTopic, listBrokers, listTopics } from "./route-queries.ts";

/** The calls for operators by path. */
export function operatorMethods(registry: Registry): Map<string, MethodHandler> {
  const { ClusterList, ListTopics, QueryTopicRoute } = nameServerService.methods;
  return new Map([
    answer(ClusterList, ({ cluster }) => ({
      status: okStatus,
      brokers: listBrokers(registry.state, cluster ?? undefined).map((broker) =>
        writeBroker(broker, registry.startedAtMs),
      ),
    })),
    answer(ListTopics, ({ cluster }) => ({
      status: okStatus,
      topics: listTopics(registry.state, cluster ?? undefined).map((topic) => ({
        name: topic.name,
        clusters: [...topic.clusters],
        messageType: topic.messageType,
      })),
    })),
    answer(QueryTopicRoute, ({ topic }) => {
      const places = findTopic(registry.state, topic);
      if (places.length > 0) return { status: okStatus, entries: places.map(writeTopicPlace) };
      const message = `no registered broker holds the topic ${topic}`;
      return { status: { code: Code.TOPIC_NOT_FOUND, message } };
    }),
  ]);
}

function answer<Req, IReq, Res, IRes>(
  method: Method<"unary", Req, IReq, Res, IRes>,
  handle: (request: Req) => IRes,
): [string, MethodHandler] {
  return [
    method.path,
    {
      kind: "unary",
      handle: (bytes) => method.response.encode(handle(method.request.decode(bytes))),
    },
  ];
}
