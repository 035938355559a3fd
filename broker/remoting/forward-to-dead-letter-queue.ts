// ForwardMessageToDeadLetterQueue: a consumer gives up on a message.
import { messagingService } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import { identify } from "../clients/index.ts";
import type { RemotingContext } from "./context.ts";
import { checkHandleNames, servedHere } from "./resources.ts";
import { okStatus, unary } from "./unary.ts";

/** The handler of ForwardMessageToDeadLetterQueue. */
export function forwardToDeadLetterQueue(context: RemotingContext): MethodHandler {
  const method = messagingService.methods.ForwardMessageToDeadLetterQueue;
  return unary(method, context.logger, async (request, call) => {
    identify((name) => call.header(name));
    const group = request.group?.name ?? "";
    const topic = request.topic?.name ?? "";
    const { metadata, delivery } = servedHere(context);
    checkHandleNames({ ...context, metadata }, { group, topic });
    const { receiptHandle, messageId } = request;
    const message = { group, topic, receiptHandle, messageId };
    const outcome = await delivery.deadLetter(message);
    if (outcome === "invalid") {
      throw new MqError(
        "INVALID_RECEIPT_HANDLE",
        "the receipt handle is missing, malformed, of another topic or group, or no longer valid",
      );
    }
    return { status: okStatus };
  });
}
