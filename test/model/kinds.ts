// The kinds of messages that the model sends: each has its topic and a group that consumes it.
import { rocketmq } from "@cometmq/proto";
import type { KindName } from "./expectation.ts";

const { MessageType } = rocketmq.v2;

/** One kind of message. */
export interface Kind {
  readonly name: KindName;
  readonly messageType: number;
  readonly topic: string;
  readonly group: string;
  /** Queues that its messages may be in. */
  readonly queueIds: readonly number[];
  /** Messages held at once; more are refused. */
  readonly heldMax: number;
}

/** Priorities that are sent; each is a queue. */
export const priorities: readonly number[] = [0, 3, 200];
const unlimited = Number.POSITIVE_INFINITY;

/** All kinds. */
export const kinds: readonly Kind[] = [
  kind("NORMAL", MessageType.NORMAL, { queueIds: [0, 1] }),
  kind("FIFO", MessageType.FIFO, { queueIds: [0, 1] }),
  kind("DELAY", MessageType.DELAY, { heldMax: 6 }),
  kind("TRANSACTION", MessageType.TRANSACTION, { heldMax: 6 }),
  kind("PRIORITY", MessageType.PRIORITY, { queueIds: priorities }),
];

/** Whether a send is answered with the message's place in its queue, which a repeated one gets again. */
export function isRepeatable({ name }: Kind): boolean {
  return name === "NORMAL" || name === "FIFO" || name === "PRIORITY";
}

/** The kind of that name. */
export function kindOf(name: KindName): Kind {
  const found = kinds.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no kind ${name}`);
  return found;
}

function kind(
  name: KindName,
  messageType: number,
  { queueIds = [0], heldMax = unlimited }: Partial<Pick<Kind, "queueIds" | "heldMax">>,
): Kind {
  const word = name.toLowerCase();
  return { name, messageType, topic: word, group: `${word}-group`, queueIds, heldMax };
}
