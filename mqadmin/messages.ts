// How stored messages are shown and searched for.
import { type cometmq, msOfTimestamp, rocketmq } from "@cometmq/proto";
import type { Answer } from "./answer.ts";
import type { FlagSpec } from "./command.ts";
import { CommandFailure, PartialFailure, UsageFailure } from "./failure.ts";
import type { Flags } from "./flags.ts";
import {
  deliveryText,
  holdText,
  type ShownDelivery,
  type ShownHold,
  shownDelivery,
  shownHold,
} from "./message-standing.ts";
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
  /** NORMAL, FIFO, DELAY, TRANSACTION, PRIORITY or LITE. */
  readonly type: string;
  readonly tag: string;
  readonly keys: readonly string[];
  /** What else the broker knows of it, by name; only what the message has. */
  readonly system: Readonly<Record<string, string>>;
  readonly properties: Readonly<Record<string, string>>;
  readonly bornHost: string;
  readonly bornTime: string;
  readonly storeTime: string;
  /** The body as text when it is that, else as base64 with that prefix. */
  readonly body: string;
  /** Set when it is in no queue. */
  readonly hold?: ShownHold;
  /** When they were asked for. */
  readonly deliveries?: readonly ShownDelivery[];
}

/** What a search over brokers has found. */
export interface FoundMessages {
  readonly messages: readonly ShownMessage[];
  /** Some broker's index is behind its log. */
  readonly indexBehind: boolean;
  /** Brokers that gave no answer, and why. */
  readonly failures: readonly string[];
}

/** `-f`: how bodies are read. */
export const bodyFormatFlag: Readonly<Record<string, FlagSpec>> = {
  bodyFormat: {
    short: "f",
    type: "string",
    value: "CHARSET",
    about: "character set of the body (utf-8)",
  },
};

/** The character set that `-f` names. Throws UsageFailure when it is not known. */
export function bodyFormat(flags: Flags): string {
  const format = flags.text("bodyFormat") ?? "utf-8";
  try {
    return new TextDecoder(format).encoding;
  } catch {
    throw new UsageFailure(
      `--bodyFormat must be a character set like utf-8, gbk or iso-8859-1, not "${format}"`,
    );
  }
}

/** Asks every owner of `topic`, of one cluster when it is given, and puts their answers together. */
export async function searchOwners(
  session: Session,
  where: {
    readonly topic: string;
    readonly cluster: string | undefined;
    /** See `bodyFormat`. */
    readonly format: string;
  },
  ask: (address: string) => Promise<cometmq.v1.IQueryMessagesResponse>,
): Promise<FoundMessages> {
  const messages: ShownMessage[] = [];
  const failures: string[] = [];
  let indexBehind = false;
  for (const owner of await session.owners(where.topic)) {
    if (where.cluster !== undefined && owner.cluster !== where.cluster) continue;
    try {
      const answer = await ask(owner.address);
      indexBehind ||= answer.indexBehind ?? false;
      messages.push(...(answer.messages ?? []).map((found) => shownMessage(found, where.format)));
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
      failures.push(`${owner.broker}: ${error.message}`);
    }
  }
  return { messages, indexBehind, failures };
}

/** Codes with which a search says that it found nothing here. */
export const nothingFound: readonly number[] = [40401, 40402];

/** Takes a message off the wire; `format` is the character set of its body. */
export function shownMessage(stored: cometmq.v1.IStoredMessage, format = "utf-8"): ShownMessage {
  const system = stored.message?.systemProperties ?? {};
  const { hold, deliveries } = stored;
  return {
    messageId: system.messageId ?? "",
    topic: stored.message?.topic?.name ?? "",
    broker: stored.brokerName ?? "",
    queueId: stored.queueId ?? 0,
    queueOffset: stored.queueOffset ?? 0,
    position: stored.position ?? 0,
    size: stored.size ?? 0,
    type: rocketmq.v2.MessageType[system.messageType ?? 0] ?? "",
    tag: system.tag ?? "",
    keys: system.keys ?? [],
    system: systemRows(system),
    properties: stored.message?.userProperties ?? {},
    bornHost: system.bornHost ?? "",
    bornTime: momentOf(system.bornTimestamp),
    storeTime: moment(stored.storeTimeMs ?? 0),
    body: bodyText(stored.message?.body ?? new Uint8Array(), format),
    ...(hold ? { hold: shownHold(hold) } : {}),
    ...(deliveries && !hold ? { deliveries: deliveries.map((one) => shownDelivery(one)) } : {}),
  };
}

function systemRows(system: rocketmq.v2.ISystemProperties): Record<string, string> {
  const { bodyDigest, orphanedTransactionRecoveryDuration: recovery, deadLetterQueue } = system;
  const { DigestType, Encoding } = rocketmq.v2;
  const rows: Record<string, string | undefined> = {
    messageGroup: system.messageGroup ?? undefined,
    deliveryTime: system.deliveryTimestamp ? momentOf(system.deliveryTimestamp) : undefined,
    priority: system.priority?.toString(),
    liteTopic: system.liteTopic ?? undefined,
    askProducerAfterSeconds: recovery?.seconds?.toString(),
    traceContext: system.traceContext ?? undefined,
    bodyEncoding: Encoding[system.bodyEncoding ?? 0],
    bodyDigest: bodyDigest
      ? `${DigestType[bodyDigest.type ?? 0]} ${bodyDigest.checksum ?? ""}`
      : undefined,
    deadLetterOf: deadLetterQueue
      ? `${deadLetterQueue.topic ?? ""} ${deadLetterQueue.messageId ?? ""}`
      : undefined,
  };
  return Object.fromEntries(
    Object.entries(rows).filter((row): row is [string, string] => (row[1] ?? "") !== ""),
  );
}

/** What was looked for. */
export interface MessageSearch {
  /** Follows "no message". */
  readonly what: string;
  readonly indexBehind?: boolean;
  readonly failures?: readonly string[];
}

/** The answer of a search. Throws CommandFailure when there is nothing, and PartialFailure when a broker gave no answer. */
export function messagesAnswer(messages: readonly ShownMessage[], search: MessageSearch): Answer {
  const behind = "The index is still behind: newer messages may be missing. Ask again in a moment.";
  const { what, indexBehind = false, failures = [] } = search;
  const unheard = `no answer from ${failures.length} of the topic's brokers:\n  ${failures.join("\n  ")}`;
  if (messages.length === 0) {
    const rest = failures.length > 0 ? ` There was ${unheard}` : indexBehind ? ` ${behind}` : "";
    throw new CommandFailure(`no message ${what}.${rest}`);
  }
  const answer = {
    json: messages,
    lines: [...(indexBehind ? [behind] : []), ...messages.flatMap((message) => card(message))],
  };
  if (failures.length > 0) throw new PartialFailure(unheard, answer);
  return answer;
}

function card(message: ShownMessage): string[] {
  const { hold, deliveries } = message;
  const place =
    hold === undefined ? `, queue ${message.queueId}, offset ${message.queueOffset}` : "";
  const rows: [string, string][] = [
    ["Message id", message.messageId],
    ["Topic", message.topic],
    ["Broker", `${message.broker}${place}`],
    ["Commit log", `position ${message.position}, ${message.size} bytes`],
    ["Type", message.type],
    ["Tag", message.tag || "-"],
    ["Keys", message.keys.join(" ") || "-"],
    ["Properties", pairs(message.properties)],
    ["System", pairs(message.system)],
    ["Born", `${message.bornTime} at ${message.bornHost}`],
    ["Stored", message.storeTime],
    ["Body", message.body],
  ];
  if (hold !== undefined) rows.push(["State", holdText(hold)]);
  const groups = deliveries?.map((one): [string, string] => [
    "State",
    `${one.group}: ${deliveryText(one)}`,
  ]);
  if (groups?.length === 0) groups.push(["State", "no group has progress on its queue"]);
  const all = [...rows, ...(groups ?? [])];
  return [...all.map(([name, value]) => `${`${name}:`.padEnd(12)} ${value}`), ""];
}

function pairs(values: Readonly<Record<string, string>>): string {
  const written = Object.entries(values).map(([name, value]) => `${name}=${value}`);
  return written.join(" ") || "-";
}

function momentOf(timestamp: rocketmq.v2.ISystemProperties["bornTimestamp"]): string {
  return timestamp ? moment(msOfTimestamp(timestamp)) : "-";
}

function bodyText(body: Uint8Array, format: string): string {
  try {
    return new TextDecoder(format, { fatal: true }).decode(body);
  } catch {
    return `base64:${Buffer.from(body).toString("base64")}`;
  }
}
