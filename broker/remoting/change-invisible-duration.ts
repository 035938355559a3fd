// ChangeInvisibleDuration: a message that was handed out stays hidden for longer, or comes back earlier (nack).
import { messagingService, msOfDuration, type rocketmq } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import { callerOf } from "./caller.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { byOwner, otherOwner } from "./handle-owner.ts";
import { checkHandleNames } from "./resources.ts";
import { okStatus, unary } from "./unary.ts";

const method = messagingService.methods.ChangeInvisibleDuration;

/** The handler of ChangeInvisibleDuration. A failure gives the handle back: clients take over what they find. */
export function changeInvisibleDuration(context: RemotingContext): MethodHandler {
  return unary(
    method,
    context.logger,
    (request, call, bytes) => {
      callerOf(call);
      const group = request.group?.name ?? "";
      const topic = request.topic?.name ?? "";
      checkHandleNames(context.local()?.metadata, { group, topic });
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
      const isSuspended = request.suspend ?? false;
      const wish = { group, topic, receiptHandle, invisibleMs, isSuspended };
      const here = ({ delivery }: LocalParts): rocketmq.v2.IChangeInvisibleDurationResponse => {
        const changed = delivery.changeInvisible(wish);
        if (changed === "invalid") throw staleHandle();
        return { status: okStatus, receiptHandle: changed.handle };
      };
      const owner = otherOwner(context, receiptHandle);
      const parts = context.local();
      if (owner === undefined && parts !== undefined) return here(parts);
      const passing = { path: method.path, request: bytes, topic };
      return byOwner(context, call, { owner, passing, here });
    },
    (request) => ({ receiptHandle: request.receiptHandle }),
  );
}

function staleHandle(): MqError {
  return new MqError(
    "INVALID_RECEIPT_HANDLE",
    "the receipt handle is malformed, of another topic or group, or no longer valid",
  );
}
