// The kinds of messages that the model sends: each has its topic and a group that consumes it.
import { rocketmq } from "@cometmq/proto";
import type { KindName } from "./sent.ts";

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
  /** Who receives them. */
  readonly clients: readonly string[];
}

/** Message groups that are sent to. */
export const messageGroups: readonly string[] = ["one", "two", "three"];

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
  kind("LITE", MessageType.LITE, { clients: ["l0", "l1", "l2"] }),
];

/** Whether a send is answered with the message's place in its queue, which a repeated one gets again. */
export function isRepeatable({ name }: Kind): boolean {
  return name === "NORMAL" || name === "FIFO" || name === "PRIORITY" || name === "LITE";
}

/** Whether its queues may be read by offset: priorities are received in their order only. */
export function isPulled({ name }: Kind): boolean {
  return name !== "PRIORITY";
}

/** The kind of that name. */
export function kindOf(name: KindName): Kind {
  const found = kinds.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no kind ${name}`);
  return found;
}

/** The names of topic and group of a kind, as calls say them. */
export function namesOf({ kind }: { readonly kind: KindName }): {
  topic: { name: string };
  group: { name: string };
} {
  const { topic, group } = kindOf(kind);
  return { topic: { name: topic }, group: { name: group } };
}

function kind(
  name: KindName,
  messageType: number,
  {
    queueIds = [0],
    heldMax = unlimited,
    clients = ["c0", "c1", "c2"],
  }: Partial<Pick<Kind, "queueIds" | "heldMax" | "clients">>,
): Kind {
  const word = name.toLowerCase();
  return { name, messageType, topic: word, group: `${word}-group`, queueIds, heldMax, clients };
}
