// AckMessage: messages that were consumed. Hot: hand-written codec, no promise.
import {
  type AckMessageView,
  messagingService,
  readAckMessageRequest,
  writeAckMessageResponse,
} from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import type { MethodHandler, ServerCall } from "../../transport/index.ts";
import { requireClientId } from "../clients/index.ts";
import type { RemotingContext } from "./context.ts";
import { checkHandleNames, servedHere } from "./resources.ts";
import { failureOf, okStatus, type StatusFields, statusOf } from "./unary.ts";

const { path } = messagingService.methods.AckMessage;
const multipleResults: StatusFields = { code: 30_000, message: "MULTIPLE_RESULTS" };
const staleHandle = statusOf(
  new MqError(
    "INVALID_RECEIPT_HANDLE",
    "the receipt handle is malformed, of another topic or group, or the message was handed out again",
  ),
);

/** The handler of AckMessage. */
export function ackMessage(context: RemotingContext): MethodHandler {
  return {
    kind: "unary",
    handle: (bytes, call) => {
      try {
        return acknowledge(context, bytes, call);
      } catch (error) {
        return writeAckMessageResponse(statusOf(failureOf(error, context.logger, path)), []);
      }
    },
  };
}

function acknowledge(context: RemotingContext, bytes: Uint8Array, call: ServerCall): Uint8Array {
  requireClientId(call.header("x-mq-client-id"));
  const request: AckMessageView = readAckMessageRequest(bytes);
  const { group, topic } = request;
  const { metadata, delivery } = servedHere(context);
  checkHandleNames({ ...context, metadata }, { group, topic });
  if (request.entries.length === 0) {
    throw new MqError("BAD_REQUEST", "the request names no message to acknowledge");
  }
  let okCount = 0;
  const entries = request.entries.map(({ messageId, receiptHandle }) => {
    const outcome = delivery.ack(group, topic, receiptHandle);
    if (outcome === "ok") okCount += 1;
    const status = outcome === "ok" ? okStatus : staleHandle;
    return { messageId, receiptHandle, code: status.code, message: status.message };
  });
  if (okCount === entries.length) return writeAckMessageResponse(okStatus, entries);
  return writeAckMessageResponse(okCount === 0 ? staleHandle : multipleResults, entries);
}
