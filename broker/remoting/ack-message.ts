// AckMessage: messages that were consumed. Hot: hand-written codec, no promise where all messages are this broker's.
import {
  type AckEntryView,
  type AckMessageView,
  type AckResultView,
  messagingService,
  readAckMessageRequest,
  writeAckMessageResponse,
} from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import { type MethodHandler, RpcError, type ServerCall } from "../../transport/index.ts";
import { requireClientId } from "../clients/index.ts";
import { acknowledgeElsewhere } from "./ack-elsewhere.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { otherOwner } from "./handle-owner.ts";
import { checkHandleNames } from "./resources.ts";
import { failureOf, multipleResults, okStatus, statusOf } from "./unary.ts";

const { path } = messagingService.methods.AckMessage;
const staleHandle = statusOf(
  new MqError(
    "INVALID_RECEIPT_HANDLE",
    "the receipt handle is malformed, of another topic or group, or the message was handed out again",
  ),
);

/** The handler of AckMessage. */
export function ackMessage(context: RemotingContext): MethodHandler {
  const failed = (error: unknown): Uint8Array => {
    if (error instanceof RpcError) throw error;
    return writeAckMessageResponse(statusOf(failureOf(error, context.logger, path)), []);
  };
  return {
    kind: "unary",
    handle: (bytes, call) => {
      try {
        const answer = acknowledge(context, bytes, call);
        return answer instanceof Uint8Array ? answer : answer.catch(failed);
      } catch (error) {
        return failed(error);
      }
    },
  };
}

function acknowledge(
  context: RemotingContext,
  bytes: Uint8Array,
  call: ServerCall,
): Uint8Array | Promise<Uint8Array> {
  requireClientId(call.header("x-mq-client-id"));
  const request: AckMessageView = readAckMessageRequest(bytes);
  const { group, topic } = request;
  const parts = context.local();
  checkHandleNames(parts?.metadata, { group, topic });
  if (request.entries.length === 0) {
    throw new MqError("BAD_REQUEST", "the request names no message to acknowledge");
  }
  if (parts === undefined) return elsewhere(context, request, call);
  let okCount = 0;
  const entries: AckResultView[] = [];
  for (const entry of request.entries) {
    const result = acknowledgeHere(parts, request, entry);
    if (result.code === okStatus.code) okCount += 1;
    // What is acknowledged already may be acknowledged again.
    else if (otherOwner(context, entry.receiptHandle) !== undefined) {
      return elsewhere(context, request, call);
    }
    entries.push(result);
  }
  return answerOf(entries, okCount);
}

function acknowledgeHere(
  { delivery }: LocalParts,
  { group, topic }: AckMessageView,
  { messageId, receiptHandle }: AckEntryView,
): AckResultView {
  const outcome = delivery.ack(group, topic, receiptHandle);
  const { code, message } = outcome === "ok" ? okStatus : staleHandle;
  return { messageId, receiptHandle, code, message };
}

async function elsewhere(
  context: RemotingContext,
  request: AckMessageView,
  call: ServerCall,
): Promise<Uint8Array> {
  const here = (parts: LocalParts, entry: AckEntryView): AckResultView =>
    acknowledgeHere(parts, request, entry);
  const entries = await acknowledgeElsewhere(context, { request, call, here });
  return answerOf(entries, entries.filter(({ code }) => code === okStatus.code).length);
}

function answerOf(entries: readonly AckResultView[], okCount: number): Uint8Array {
  if (okCount === entries.length) return writeAckMessageResponse(okStatus, entries);
  const [first] = entries;
  const isOne = first !== undefined && entries.every(({ code }) => code === first.code);
  const status = isOne ? { code: first.code, message: first.message } : multipleResults;
  return writeAckMessageResponse(status, entries);
}
