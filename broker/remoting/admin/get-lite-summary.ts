// GetLiteSummary: what lite topics cost the broker, and its LITE topics.
import { brokerAdminService } from "@cometmq/proto";
import { limits } from "../../../base/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { liteHere, liteParentFields, liteTopicsOf } from "./lite-fields.ts";

/** The handler of GetLiteSummary. */
export function getLiteSummary(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.GetLiteSummary, context.logger, () => {
    const lite = liteHere(context);
    const { maxLmqConsumeQueueNum, maxLiteSubscriptionCount } = context.config.values;
    const { topics, offsets, subscriptions, expired } = lite.state;
    return {
      status: okStatus,
      liteTopics: topics,
      liteTopicsMax: maxLmqConsumeQueueNum,
      messages: offsets,
      messagesMax: limits.liteOffsetsMax,
      subscriptions,
      subscriptionsMax: maxLiteSubscriptionCount,
      ...lite.view.counts(),
      expired,
      topics: liteTopicsOf(context).map((topic) => liteParentFields(context, lite, topic)),
    };
  });
}
