// How it is told where a message stands: with its groups, or before it is in any queue.
import { cometmq } from "@cometmq/proto";
import type { FlagSpec } from "./command.ts";
import type { Flags } from "./flags.ts";
import { moment } from "./printing.ts";

const { DeliveryState, HoldState } = cometmq.v1;

/** Where a message stands with one group; what does not apply is left out. */
export interface ShownDelivery {
  readonly group: string;
  /** Name of a `cometmq.v1.DeliveryState`. */
  readonly state: string;
  readonly attempt?: number;
  readonly invisibleUntil?: string;
  readonly deliveredAt?: string;
  readonly clientId?: string;
  readonly renewed?: boolean;
  readonly deadLetter?: {
    readonly topic: string;
    readonly queueId: number;
    readonly offset: number;
  };
}

/** Why a message is in no queue. */
export interface ShownHold {
  /** Name of a `cometmq.v1.HoldState`. */
  readonly state: string;
  readonly until?: string;
  readonly checks?: number;
}

/** `-g` of the commands that look for messages. */
export const deliveryGroupFlag: Readonly<Record<string, FlagSpec>> = {
  consumerGroup: {
    short: "g",
    type: "string",
    value: "GROUP",
    about: "tell the delivery state of this group only (all groups when not given)",
  },
};

/** What a query asks of deliveries. */
export function deliveryQuestion(flags: Flags): cometmq.v1.IDeliveryQuestion {
  const group = flags.text("consumerGroup");
  return group === undefined ? {} : { group };
}

/** Takes a delivery off the wire. */
export function shownDelivery(delivery: cometmq.v1.IGroupDelivery): ShownDelivery {
  const { group = "", state = 0, attempt = 0, visibleAtMs, deliveredAtMs, clientId } = delivery;
  const told = { group: group ?? "", state: DeliveryState[state ?? 0] ?? "" };
  switch (state) {
    case DeliveryState.INVISIBLE:
      return {
        ...told,
        attempt: attempt ?? 0,
        invisibleUntil: moment(visibleAtMs ?? 0),
        deliveredAt: moment(deliveredAtMs ?? 0),
        clientId: clientId ?? "",
        renewed: delivery.renewed ?? false,
      };
    case DeliveryState.VISIBLE_AGAIN:
    case DeliveryState.DYING:
      return { ...told, attempt: attempt ?? 0 };
    case DeliveryState.DEAD_LETTER: {
      const { deadLetterQueueId, deadLetterOffset } = delivery;
      const place = { queueId: deadLetterQueueId ?? 0, offset: deadLetterOffset ?? 0 };
      return { ...told, deadLetter: { topic: `%DLQ%${group}`, ...place } };
    }
    default:
      return told;
  }
}

/** Takes a hold off the wire. */
export function shownHold({ state, dueMs, checkCount }: cometmq.v1.IHold): ShownHold {
  const told = { state: HoldState[state ?? 0] ?? "" };
  if (state === HoldState.DELAYED) return { ...told, until: moment(dueMs ?? 0) };
  if (state !== HoldState.HALF) return told;
  return { ...told, until: moment(dueMs ?? 0), checks: checkCount ?? 0 };
}

/** A delivery in words. */
export function deliveryText(delivery: ShownDelivery): string {
  const { attempt = 0, invisibleUntil, deliveredAt, clientId, renewed, deadLetter } = delivery;
  switch (delivery.state) {
    case "WAITING":
      return "waiting";
    case "WAITING_FOR_MESSAGE_GROUP":
      return "waiting for an earlier message of its message group";
    case "INVISIBLE": {
      const who = clientId === "" ? "a client of before the broker's start" : clientId;
      const until =
        renewed === true
          ? `as long as it lives, at least until ${invisibleUntil}`
          : `until ${invisibleUntil}`;
      return `invisible ${until}: delivery ${attempt} to ${who} at ${deliveredAt}`;
    }
    case "VISIBLE_AGAIN":
      return attempt === 0
        ? "waiting to be delivered again, with no delivery counted"
        : `waiting to be delivered again, after ${attempt} in vain`;
    case "DYING":
      return `on its way to the dead-letter topic after ${attempt} deliveries`;
    case "DEAD_LETTER":
      return `dead letter: ${deadLetter?.topic}, queue ${deadLetter?.queueId}, offset ${deadLetter?.offset}`;
    case "FILTERED":
      return "passed by: no connected consumer's filter takes it";
    case "DONE":
      return "acknowledged, or left out by a reset of offsets";
    default:
      return delivery.state;
  }
}

/** A hold in words. */
export function holdText({ state, until, checks }: ShownHold): string {
  if (state === "DELAYED") return `delayed until ${until}`;
  if (state === "HALF") {
    return `half: waits for its producer's commit or rollback, asked for it ${checks} times, next at ${until}`;
  }
  return "ended without coming into a queue: recalled, rolled back or given up";
}
