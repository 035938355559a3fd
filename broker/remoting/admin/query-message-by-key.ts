// QueryMessageByKey: messages of a topic that carry a key, newest first.
import { brokerAdminService } from "@cometmq/proto";
import { limits } from "../../../base/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import { existingTopic } from "../resources.ts";
import { unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { foundMessages, requireIndex } from "./found-messages.ts";

/** The handler of QueryMessageByKey. */
export function queryMessageByKey(context: AdminContext): MethodHandler {
  const method = brokerAdminService.methods.QueryMessageByKey;
  return unary(method, context.logger, async (request, call) => {
    const index = requireIndex(context);
    const topic = existingTopic(context, request.topic);
    const { key, beginMs, endMs, maxMessages } = request;
    const countMax = Math.min(
      maxMessages || limits.queryMessageCountMax,
      limits.queryMessageCountMax,
    );
    const range = { beginMs, endMs: endMs === 0 ? Number.MAX_SAFE_INTEGER : endMs };
    const found = await index.byKey({ topic: topic.name, key, ...range, countMax });
    const sought = `with the key "${key}"`;
    return await foundMessages(context, call, { found, sought, deliveries: request.deliveries });
  });
}
