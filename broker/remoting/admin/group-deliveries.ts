// Where the groups stand with a message: what delivery knows, and of a message that is done, how it probably ended.
import { cometmq, rocketmq } from "@cometmq/proto";
import { MqError } from "../../../base/index.ts";
import { type MessageStanding, matches, parseFilter } from "../../delivery/index.ts";
import { deadLetterTopic } from "../../metadata/index.ts";
import type { RecordView } from "../../store/index.ts";
import type { AdminContext } from "./admin-context.ts";

const { DeliveryState } = cometmq.v1;
const { SystemProperties } = rocketmq.v2;

/** The deliveries of the message in `record` that are asked for, by group; none when they are not. */
export async function groupDeliveries(
  context: AdminContext,
  question: cometmq.v1.IDeliveryQuestion | null,
  record: RecordView,
): Promise<cometmq.v1.IGroupDelivery[]> {
  const { tracking } = context.delivery;
  if (question === null || tracking === undefined) return [];
  const { topic, queueId, queueOffset } = record;
  const standings = [...tracking.standings({ topic, queueId, queueOffset })]
    .filter(([group]) => (question.group ?? "") === "" || question.group === group)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const deliveries: cometmq.v1.IGroupDelivery[] = [];
  for (const [group, standing] of standings) {
    const told =
      standing.kind === "done"
        ? await ended(context, group, record)
        : { group, ...pending(standing) };
    deliveries.push(told);
  }
  return deliveries;
}

function pending(
  standing: Exclude<MessageStanding, { readonly kind: "done" }>,
): Omit<cometmq.v1.IGroupDelivery, "group"> {
  switch (standing.kind) {
    case "waiting":
      return { state: DeliveryState.WAITING };
    case "waiting for its message group":
      return { state: DeliveryState.WAITING_FOR_MESSAGE_GROUP };
    case "invisible": {
      const { attempt, visibleAtMs, deliveredAtMs, clientId, isRenewed } = standing;
      const out = { attempt, visibleAtMs, deliveredAtMs, clientId, renewed: isRenewed };
      return { state: DeliveryState.INVISIBLE, ...out };
    }
    case "visible again":
      return { state: DeliveryState.VISIBLE_AGAIN, attempt: standing.attempt };
    default:
      return { state: DeliveryState.DYING, attempt: standing.attempt };
  }
}

async function ended(
  context: AdminContext,
  group: string,
  record: RecordView,
): Promise<cometmq.v1.IGroupDelivery> {
  const copy = await deadLetterOf(context, group, record);
  if (copy !== undefined && !isResent(context, group, copy)) {
    const place = { deadLetterQueueId: copy.queueId, deadLetterOffset: copy.queueOffset };
    return { group, state: DeliveryState.DEAD_LETTER, ...place };
  }
  const isPassedBy = nobodyTakes(context, group, record);
  return { group, state: isPassedBy ? DeliveryState.FILTERED : DeliveryState.DONE };
}

/** The newest copy of the message in the group's dead-letter topic. */
async function deadLetterOf(
  { index, metadata, store }: AdminContext,
  group: string,
  record: RecordView,
): Promise<RecordView | undefined> {
  const topic = deadLetterTopic(group);
  const { messageId } = SystemProperties.decode(record.systemProperties);
  if (index === undefined || messageId === "" || metadata.topic(topic) === undefined) {
    return undefined;
  }
  const copies = await store.readCold(await index.byId(topic, messageId));
  return copies.find((copy) => copy !== undefined && originOf(copy) === record.topic);
}

/** Whether the group was given the original of a dead letter again: it is done with that since. */
function isResent({ delivery }: AdminContext, group: string, copy: RecordView): boolean {
  const isOf = ({ topic, queueId }: { readonly topic: string; readonly queueId: number }) =>
    topic === copy.topic && queueId === copy.queueId;
  return delivery.progress(group).some((lane) => isOf(lane) && lane.cursor > copy.queueOffset);
}

/** The topic that a dead letter comes from; empty when it does not say. */
export function originOf(deadLetter: RecordView): string {
  return SystemProperties.decode(deadLetter.systemProperties).deadLetterQueue?.topic ?? "";
}

/** Whether consumers of the group are connected that subscribe to the topic, and none of their filters lets the message through. */
function nobodyTakes({ clients }: AdminContext, group: string, record: RecordView): boolean {
  const wishes = clients
    .consumers(group)
    .flatMap(({ subscriptions }) => subscriptions)
    .filter(({ topic }) => topic === record.topic);
  return wishes.length > 0 && !wishes.some((wish) => takes(wish, record));
}

function takes(
  { filterType, expression }: { readonly filterType: number; readonly expression: string },
  record: RecordView,
): boolean {
  try {
    return matches(parseFilter(filterType, expression), record);
  } catch (error) {
    // What a client says before it is refused is known of it, too.
    if (error instanceof MqError && error.code === "ILLEGAL_FILTER_EXPRESSION") return false;
    throw error;
  }
}
