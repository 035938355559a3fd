// All calls of RocketMQ's messaging service, by path.
import { messagingService } from "@cometmq/proto";
import { limits } from "../../base/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import { ackMessage } from "./ack-message.ts";
import { changeInvisibleDuration } from "./change-invisible-duration.ts";
import type { RemotingContext } from "./context.ts";
import { endTransaction } from "./end-transaction.ts";
import { forwardToDeadLetterQueue } from "./forward-to-dead-letter-queue.ts";
import { getOffset } from "./get-offset.ts";
import { heartbeat } from "./heartbeat.ts";
import { notifyClientTermination } from "./notify-client-termination.ts";
import { pullMessage } from "./pull-message.ts";
import { queryAssignment } from "./query-assignment.ts";
import { queryOffset } from "./query-offset.ts";
import { queryRoute } from "./query-route.ts";
import { recallMessage } from "./recall-message.ts";
import { receiveMessage } from "./receive-message.ts";
import { sendMessage } from "./send-message.ts";
import { syncLiteSubscription } from "./sync-lite-subscription.ts";
import { telemetry } from "./telemetry.ts";
import { updateOffset } from "./update-offset.ts";

/** The handlers of `apache.rocketmq.v2.MessagingService` by path. */
export function messagingMethods(context: RemotingContext): Map<string, MethodHandler> {
  const { methods } = messagingService;
  const handlers = new Map<string, MethodHandler>([
    [methods.QueryRoute.path, queryRoute(context)],
    [methods.QueryAssignment.path, queryAssignment(context)],
    [methods.Telemetry.path, telemetry(context)],
    [methods.Heartbeat.path, heartbeat(context)],
    [methods.NotifyClientTermination.path, notifyClientTermination(context)],
    [methods.SendMessage.path, sendMessage(context)],
    [methods.RecallMessage.path, recallMessage(context)],
    [methods.EndTransaction.path, endTransaction(context)],
    [methods.ReceiveMessage.path, receiveMessage(context)],
    [methods.AckMessage.path, ackMessage(context)],
    [methods.ChangeInvisibleDuration.path, changeInvisibleDuration(context)],
    [methods.ForwardMessageToDeadLetterQueue.path, forwardToDeadLetterQueue(context)],
    [methods.SyncLiteSubscription.path, syncLiteSubscription(context)],
    [methods.PullMessage.path, pullMessage(context)],
    [methods.GetOffset.path, getOffset(context)],
    [methods.UpdateOffset.path, updateOffset(context)],
    [methods.QueryOffset.path, queryOffset(context)],
  ]);
  for (const [path, handler] of handlers) {
    handlers.set(path, { requestSizeMax: limits.callRequestSizeMax, ...handler });
  }
  return handlers;
}
