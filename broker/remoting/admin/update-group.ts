// UpdateGroup: makes a consumer group, or changes the fields that are given.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import {
  consumeFromKey,
  defaultRetryMaxTimes,
  defaultRetryPolicy,
  type GroupDraft,
} from "../../metadata/index.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { changedAttributes } from "./attribute-change.ts";
import { groupFields, readRetryPolicy } from "./group-fields.ts";

/** The handler of UpdateGroup. */
export function updateGroup(context: AdminContext): MethodHandler {
  return unary(brokerAdminService.methods.UpdateGroup, context.logger, async (request) => {
    const { metadata } = context;
    const old = metadata.group(request.name);
    const attributes = changedAttributes(old?.attributes, request);
    if (request.consumeFrom !== null) attributes[consumeFromKey] = request.consumeFrom;
    const draft: GroupDraft = {
      name: request.name,
      consumeEnable: request.consumeEnable ?? old?.consumeEnable ?? true,
      consumeBroadcastEnable: request.consumeBroadcastEnable ?? old?.consumeBroadcastEnable ?? true,
      consumeMessageOrderly: request.consumeMessageOrderly ?? old?.consumeMessageOrderly ?? false,
      retryMaxTimes: request.retryMaxTimes ?? old?.retryMaxTimes ?? defaultRetryMaxTimes,
      retryPolicy: request.retryPolicy
        ? readRetryPolicy(request.retryPolicy)
        : (old?.retryPolicy ?? defaultRetryPolicy),
      attributes,
    };
    const group = await metadata.updateGroup(draft);
    return { status: okStatus, group: groupFields(group), created: old === undefined };
  });
}
