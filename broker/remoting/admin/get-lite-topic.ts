// GetLiteTopic: one lite topic, where its messages are and who subscribes to it.
import { brokerAdminService } from "@cometmq/proto";
import { limits } from "../../../base/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import { brokerOfMessageGroup, messageGroupHash } from "../../delivery/index.ts";
import { existingLiteTopic } from "../lite-resources.ts";
import { groupBrokersOf } from "../message-group-owner.ts";
import { checkLiteTopic } from "../message-rules.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { liteHere } from "./lite-fields.ts";
import { storeTimeAt } from "./record-at.ts";

/** The handler of GetLiteTopic. */
export function getLiteTopic(context: AdminContext): MethodHandler {
  const { logger, config } = context;
  return unary(brokerAdminService.methods.GetLiteTopic, logger, async (request) => {
    const { view } = liteHere(context);
    const topic = existingLiteTopic(context, request.topic);
    checkLiteTopic(request.liteTopic);
    const { name } = topic;
    const brokers = groupBrokersOf(topic) ?? [config.values.brokerName];
    const { count, some } = view.subscribersOf(
      name,
      request.liteTopic,
      limits.liteSubscribersShownMax,
    );
    const places = view.placesOf(name, request.liteTopic).map(async (place) => {
      const { queueId, minOffset, endOffset } = place;
      const newest = { topic: name, queueId, offset: endOffset - 1 };
      return {
        queueId,
        minOffset,
        maxOffset: endOffset,
        messages: place.count,
        lastUpdateMs: await storeTimeAt(context.store, newest),
      };
    });
    return {
      status: okStatus,
      owner: brokerOfMessageGroup(messageGroupHash(request.liteTopic), brokers),
      places: await Promise.all(places),
      subscriberCount: count,
      subscribers: [...some],
    };
  });
}
