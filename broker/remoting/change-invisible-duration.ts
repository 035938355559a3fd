// ChangeInvisibleDuration: a message that was handed out stays hidden for longer, or comes back earlier (nack).
import { messagingService, msOfDuration } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import { identify } from "../clients/index.ts";
import type { RemotingContext } from "./context.ts";
import { checkHandleNames, servedHere } from "./resources.ts";
import { okStatus, unary } from "./unary.ts";

/** The handler of ChangeInvisibleDuration. A failure gives the handle back: clients take over what they find. */
export function changeInvisibleDuration(context: RemotingContext): MethodHandler {
  return unary(
    messagingService.methods.ChangeInvisibleDuration,
    context.logger,
    (request, call) => {
      identify((name) => call.header(name));
      const group = request.group?.name ?? "";
      const topic = request.topic?.name ?? "";
      const { metadata, delivery } = servedHere(context);
      checkHandleNames({ ...context, metadata }, { group, topic });
      const { invisibleDuration } = request;
      const invisibleMs = invisibleDuration ? msOfDuration(invisibleDuration) : 0;
      if (invisibleMs < 0 || invisibleMs > limits.invisibleMaxMs) {
        throw new MqError(
          "ILLEGAL_INVISIBLE_TIME",
          `the invisibleTime is too ${invisibleMs < 0 ? "small" : "large"}: ${invisibleMs} ms; ` +
            `0 to ${limits.invisibleMaxMs} ms are allowed`,
        );
      }
      const { receiptHandle } = request;
      const wish = { group, topic, receiptHandle, invisibleMs };
      const changed = delivery.changeInvisible(wish);
      if (changed === "invalid") {
        throw new MqError(
          "INVALID_RECEIPT_HANDLE",
          "the receipt handle is malformed, of another topic or group, or no longer valid",
        );
      }
      return { status: okStatus, receiptHandle: changed.handle };
    },
    (request) => ({ receiptHandle: request.receiptHandle }),
  );
}
