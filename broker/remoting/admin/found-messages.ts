// What the index found, read from the log for the answer.
import type { cometmq } from "@cometmq/proto";
import { MqError } from "../../../base/index.ts";
import type { ServerCall } from "../../../transport/index.ts";
import type { FoundMessage } from "../../index/index.ts";
import { okStatus } from "../unary.ts";
import type { AdminContext, MessageFinder } from "./admin-context.ts";
import { brokerAt, storedMessage } from "./stored-message.ts";

/** The index, or UNSUPPORTED when it is switched off. */
export function requireIndex(context: AdminContext): MessageFinder {
  if (context.index !== undefined) return context.index;
  throw new MqError("UNSUPPORTED", "messages are not indexed here (messageIndexEnable is off)");
}

/** The messages at the found places. Throws MESSAGE_NOT_FOUND when there is none, or all have expired. */
export async function foundMessages(
  context: AdminContext,
  call: ServerCall,
  result: { readonly found: readonly FoundMessage[]; readonly sought: string },
): Promise<cometmq.v1.IQueryMessagesResponse> {
  const indexBehind = requireIndex(context).indexedPosition < context.store.confirmed;
  const broker = brokerAt(context, call);
  const records = await context.store.readCold(result.found);
  const messages: cometmq.v1.IStoredMessage[] = [];
  for (const record of records) {
    if (record !== undefined) messages.push(storedMessage(record, broker));
  }
  if (messages.length === 0) {
    const hint = indexBehind ? "; the index is still behind, ask again" : "";
    throw new MqError("MESSAGE_NOT_FOUND", `there is no message ${result.sought}${hint}`);
  }
  return { status: okStatus, messages, indexBehind };
}
