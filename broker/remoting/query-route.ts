// QueryRoute: where a topic's queues are, on all brokers of the cluster.
import { messagingService, type rocketmq } from "@cometmq/proto";
import { messageQueues } from "../../route/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import { callerOf } from "./caller.ts";
import type { RemotingContext } from "./context.ts";
import { passOn, untilServed } from "./owner.ts";
import { brokerFor, placesFor } from "./route.ts";
import { okStatus, unary } from "./unary.ts";

const method = messagingService.methods.QueryRoute;

type Request = rocketmq.v2.QueryRouteRequest;
type Answer = rocketmq.v2.IQueryRouteResponse;

/** The handler of QueryRoute. */
export function queryRoute(context: RemotingContext): MethodHandler {
  return unary<Request, Answer>(method, context.logger, (request, call, bytes) => {
    callerOf(call);
    const topic = request.topic?.name ?? "";
    const question = { call, accessPoint: request.endpoints };
    return untilServed<Answer | Uint8Array>(context, call, async () => {
      const places = await placesFor(context, topic);
      if (places === undefined) {
        // The master may know more than this broker, whose own NameServers are silent or not there.
        const address = await context.cluster.view.ownMaster();
        const passing = { path: method.path, request: bytes, topic };
        return address === undefined
          ? undefined
          : await passOn(context, call, { address, passing });
      }
      const queues = places.flatMap((place) =>
        messageQueues(place.topic, brokerFor(context, place, question)),
      );
      return { status: okStatus, messageQueues: queues };
    });
  });
}
