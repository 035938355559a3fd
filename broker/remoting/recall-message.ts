// RecallMessage: a delayed message shall not be delivered. Clients ask their access point; the broker that holds the
// message answers.
import { messagingService, type rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import { heldHandleBroker } from "../held/index.ts";
import { checkTopicName } from "../metadata/index.ts";
import { callerOf } from "./caller.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { byOwner, otherOwner } from "./handle-owner.ts";
import { okStatus, unary } from "./unary.ts";

const method = messagingService.methods.RecallMessage;

type Request = rocketmq.v2.RecallMessageRequest;
type Answer = rocketmq.v2.IRecallMessageResponse;

/** The handler of RecallMessage. */
export function recallMessage(context: RemotingContext): MethodHandler {
  return unary<Request, Answer>(method, context.logger, async (request, call, bytes) => {
    callerOf(call);
    const topic = request.topic?.name ?? "";
    if (context.local()?.metadata.topic(topic) === undefined) checkTopicName(topic);
    const { recallHandle } = request;
    if (heldHandleBroker(recallHandle) === undefined) {
      throw new MqError("INVALID_RECEIPT_HANDLE", "the recall handle is missing or malformed");
    }
    // An acting master has no timers: the call waits for its master.
    const here = ({ timers }: LocalParts): Promise<Answer> | undefined =>
      timers === undefined ? undefined : recall(timers, topic, recallHandle);
    const owner = otherOwner(context, recallHandle, heldHandleBroker);
    return await byOwner(context, call, {
      owner,
      passing: { path: method.path, request: bytes, topic },
      here,
    });
  });
}

async function recall(
  timers: NonNullable<LocalParts["timers"]>,
  topic: string,
  handle: string,
): Promise<Answer> {
  const messageId = await timers.recall(topic, handle);
  return { status: okStatus, messageId };
}
