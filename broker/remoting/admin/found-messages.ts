// What the index found, read from the log for the answer.
import { cometmq } from "@cometmq/proto";
import { MqError } from "../../../base/index.ts";
import type { ServerCall } from "../../../transport/index.ts";
import type { FoundMessage } from "../../index/index.ts";
import { isQueued } from "../../store/index.ts";
import { okStatus } from "../unary.ts";
import type { AdminContext, MessageFinder } from "./admin-context.ts";
import { groupDeliveries } from "./group-deliveries.ts";
import { holdsOf } from "./hold.ts";
import { brokerAt, storedMessage } from "./stored-message.ts";

/** The index, or UNSUPPORTED when it is switched off. */
export function requireIndex(context: AdminContext): MessageFinder {
  if (context.index !== undefined) return context.index;
  throw new MqError("UNSUPPORTED", "messages are not indexed here (messageIndexEnable is off)");
}

/** What was looked for and found. */
export interface SearchResult {
  readonly found: readonly FoundMessage[];
  /** Follows "there is no message" when there is none. */
  readonly sought: string;
  readonly deliveries: cometmq.v1.IDeliveryQuestion | null;
}

/** The messages at the found places. Throws MESSAGE_NOT_FOUND when there is none, or all have expired. */
export async function foundMessages(
  context: AdminContext,
  call: ServerCall,
  { found, sought, deliveries }: SearchResult,
): Promise<cometmq.v1.IQueryMessagesResponse> {
  const indexBehind = requireIndex(context).indexedPosition < context.store.confirmed;
  const broker = brokerAt(context, call);
  const records = (await context.store.readCold(found)).filter((record) => record !== undefined);
  const holds = await holdsOf(
    context.held,
    records.filter(({ type }) => !isQueued(type)),
  );
  const messages: cometmq.v1.IStoredMessage[] = [];
  for (const record of records) {
    const message = storedMessage(record, broker);
    const hold = holds.get(record.position);
    const more = hold
      ? { hold }
      : { deliveries: await groupDeliveries(context, deliveries, record) };
    messages.push({ ...message, ...more });
  }
  if (messages.length === 0) {
    const hint = indexBehind ? "; the index is still behind, ask again" : "";
    throw new MqError("MESSAGE_NOT_FOUND", `there is no message ${sought}${hint}`);
  }
  return { status: okStatus, messages: withoutFormerHolds(messages), indexBehind };
}

/** A message that was held and has come into its queue is there once: as it is now. */
function withoutFormerHolds(
  messages: readonly cometmq.v1.IStoredMessage[],
): cometmq.v1.IStoredMessage[] {
  const living = new Set(messages.filter((message) => !isEnded(message)).map(idOf));
  const told = new Set<string>();
  return messages.filter((message) => {
    if (!isEnded(message)) return true;
    const id = idOf(message);
    // The newest record of a message that was carried on stands for all.
    if (living.has(id) || told.has(id)) return false;
    told.add(id);
    return true;
  });
}

function isEnded({ hold }: cometmq.v1.IStoredMessage): boolean {
  return hold?.state === cometmq.v1.HoldState.ENDED;
}

function idOf({ message }: cometmq.v1.IStoredMessage): string {
  return message?.systemProperties?.messageId ?? "";
}
