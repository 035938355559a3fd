// How stored messages are shown and searched for.
import type { cometmq } from "@cometmq/proto";
import type { Answer } from "./answer.ts";
import { CommandFailure } from "./failure.ts";
import { moment } from "./printing.ts";
import type { Session } from "./session.ts";

/** A stored message, ready to be shown. */
export interface ShownMessage {
  readonly messageId: string;
  readonly topic: string;
  readonly broker: string;
  readonly queueId: number;
  readonly queueOffset: number;
  readonly position: number;
  readonly size: number;
  readonly tag: string;
  readonly keys: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
  readonly bornHost: string;
  readonly storeTime: string;
  /** The body as text when it is UTF-8, else as base64 with that prefix. */
  readonly body: string;
}

/** What a search over brokers has found. */
export interface FoundMessages {
  readonly messages: readonly ShownMessage[];
  /** Some broker's index is behind its log. */
  readonly indexBehind: boolean;
}

/** Asks every owner of `topic`, of one cluster when it is given, and puts their answers together. */
export async function searchOwners(
  session: Session,
  where: { readonly topic: string; readonly cluster: string | undefined },
  ask: (address: string) => Promise<cometmq.v1.IQueryMessagesResponse>,
): Promise<FoundMessages> {
  const messages: ShownMessage[] = [];
  let indexBehind = false;
  for (const owner of await session.owners(where.topic)) {
    if (where.cluster !== undefined && owner.cluster !== where.cluster) continue;
    const answer = await ask(owner.address);
    indexBehind ||= answer.indexBehind ?? false;
    messages.push(...(answer.messages ?? []).map((message) => shownMessage(message)));
  }
  return { messages, indexBehind };
}

/** Codes with which a search says that it found nothing here. */
export const nothingFound: readonly number[] = [40401, 40402];

/** Takes a message off the wire. */
export function shownMessage(stored: cometmq.v1.IStoredMessage): ShownMessage {
  const system = stored.message?.systemProperties;
  return {
    messageId: system?.messageId ?? "",
    topic: stored.message?.topic?.name ?? "",
    broker: stored.brokerName ?? "",
    queueId: stored.queueId ?? 0,
    queueOffset: stored.queueOffset ?? 0,
    position: stored.position ?? 0,
    size: stored.size ?? 0,
    tag: system?.tag ?? "",
    keys: system?.keys ?? [],
    properties: stored.message?.userProperties ?? {},
    bornHost: system?.bornHost ?? "",
    storeTime: moment(stored.storeTimeMs ?? 0),
    body: bodyText(stored.message?.body ?? new Uint8Array()),
  };
}

/** The answer of a search. Throws CommandFailure when there is nothing. */
export function messagesAnswer(
  messages: readonly ShownMessage[],
  search: { readonly what: string; readonly indexBehind?: boolean },
): Answer {
  const behind = "The index is still behind: newer messages may be missing. Ask again in a moment.";
  if (messages.length === 0) {
    throw new CommandFailure(
      `no message ${search.what}.${search.indexBehind === true ? ` ${behind}` : ""}`,
    );
  }
  return {
    json: messages,
    lines: [
      ...(search.indexBehind === true ? [behind] : []),
      ...messages.flatMap((message) => card(message)),
    ],
  };
}

function card(message: ShownMessage): string[] {
  const rows: [string, string][] = [
    ["Message id", message.messageId],
    ["Topic", message.topic],
    ["Broker", `${message.broker}, queue ${message.queueId}, offset ${message.queueOffset}`],
    ["Commit log", `position ${message.position}, ${message.size} bytes`],
    ["Tag", message.tag || "-"],
    ["Keys", message.keys.join(" ") || "-"],
    [
      "Properties",
      Object.entries(message.properties)
        .map(([k, v]) => `${k}=${v}`)
        .join(" ") || "-",
    ],
    ["Born at", message.bornHost],
    ["Stored", message.storeTime],
    ["Body", message.body],
  ];
  return [...rows.map(([name, value]) => `${`${name}:`.padEnd(12)} ${value}`), ""];
}

function bodyText(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    return `base64:${Buffer.from(body).toString("base64")}`;
  }
}
