// A message as the flags of sendMessage describe it: of which kind, with which properties.
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { rocketmq, timestampOfMs } from "@cometmq/proto";
import type { FlagSpec } from "./command.ts";
import { UsageFailure } from "./failure.ts";
import type { Flags } from "./flags.ts";

const { Encoding, MessageType } = rocketmq.v2;

/** What becomes of a transaction: left open, the broker asks the topic's producers. */
export type TransactionWish = "commit" | "rollback" | "open";

/** A message to be sent. */
export interface NewMessage {
  readonly message: rocketmq.v2.IMessage;
  readonly transaction: TransactionWish | undefined;
}

/** The flags that say what kind of message it is; one of them at most. */
export const kindFlags: Readonly<Record<string, FlagSpec>> = {
  messageGroup: { type: "string", value: "GROUP", about: "FIFO: the message group" },
  delay: {
    type: "string",
    value: "TIME",
    about: "DELAY: how long to wait: milliseconds, or 30s, 5m, 2h, 7d",
  },
  deliverAt: {
    type: "string",
    value: "TIME",
    about: "DELAY: when to deliver (ms or ISO 8601)",
  },
  transaction: {
    type: "string",
    value: "commit|rollback|open",
    about: "TRANSACTION: how it ends; open: the broker asks the topic's producers",
  },
  priority: { type: "string", value: "N", about: "PRIORITY: higher comes first" },
  liteTopic: { type: "string", value: "NAME", about: "LITE: the lite topic" },
};

/** The flags of what every message may have. */
export const contentFlags: Readonly<Record<string, FlagSpec>> = {
  body: { short: "p", type: "string", value: "TEXT", about: "body of the message", required: true },
  key: { short: "k", type: "string", value: "KEYS", about: "message keys, separated by blanks" },
  tags: { short: "c", type: "string", value: "TAG", about: "tag" },
  property: {
    type: "string",
    value: "NAME=VALUE",
    about: "property of the message; may be given more than once",
  },
};

/** Reads `kindFlags` and `contentFlags`. Throws UsageFailure naming what is wrong. */
export function messageOf(flags: Flags, topic: string): NewMessage {
  const given = Object.keys(kindFlags).filter((name) => flags.text(name) !== undefined);
  if (given.length > 1) {
    const written = given.map((name) => `--${name}`).join(" and ");
    throw new UsageFailure(`a message is of one kind: ${written} do not go together`);
  }
  const tag = flags.text("tags");
  const transaction = transactionOf(flags);
  return {
    message: {
      topic: { name: topic },
      userProperties: propertiesOf(flags),
      systemProperties: {
        ...newSystemProperties(),
        ...(tag === undefined ? {} : { tag }),
        keys: (flags.text("key") ?? "").split(/\s+/).filter((key) => key !== ""),
        queueId: flags.int("qid", { min: 0, max: 65_535 }) ?? -1,
        ...kindOf(flags, transaction),
      },
      body: Buffer.from(flags.text("body") ?? ""),
    },
    transaction,
  };
}

/** What clients put into every message; its id is new. */
export function newSystemProperties(): rocketmq.v2.ISystemProperties {
  return {
    messageId: `01${randomBytes(16).toString("hex").toUpperCase()}`,
    bodyEncoding: Encoding.IDENTITY,
    messageType: MessageType.NORMAL,
    bornTimestamp: timestampOfMs(Date.now()),
    bornHost: hostname(),
  };
}

function kindOf(
  flags: Flags,
  transaction: TransactionWish | undefined,
): rocketmq.v2.ISystemProperties {
  if (transaction !== undefined) return { messageType: MessageType.TRANSACTION };
  const messageGroup = flags.text("messageGroup");
  if (messageGroup !== undefined) return { messageType: MessageType.FIFO, messageGroup };
  const liteTopic = flags.text("liteTopic");
  if (liteTopic !== undefined) return { messageType: MessageType.LITE, liteTopic };
  const priority = flags.int("priority", { min: 0, max: 2 ** 31 - 1 });
  if (priority !== undefined) return { messageType: MessageType.PRIORITY, priority };
  const deliverAtMs = flags.time("deliverAt") ?? afterDelay(flags);
  if (deliverAtMs === undefined) return {};
  return { messageType: MessageType.DELAY, deliveryTimestamp: timestampOfMs(deliverAtMs) };
}

const unitsMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

function afterDelay(flags: Flags): number | undefined {
  const written = flags.text("delay");
  if (written === undefined) return undefined;
  const [, count, unit = "ms"] = /^(\d{1,15})(ms|s|m|h|d)?$/.exec(written) ?? [];
  if (count !== undefined) return Date.now() + Number(count) * (unitsMs[unit] ?? 1);
  throw new UsageFailure(
    `--delay must be milliseconds, or like 30s, 5m, 2h or 7d, not "${written}"`,
  );
}

function transactionOf(flags: Flags): TransactionWish | undefined {
  const written = flags.text("transaction");
  if (written === undefined) return undefined;
  if (written === "commit" || written === "rollback" || written === "open") return written;
  throw new UsageFailure(`--transaction must be commit, rollback or open, not "${written}"`);
}

function propertiesOf(flags: Flags): Record<string, string> {
  const pairs = flags.texts("property").map((written) => {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(written) ?? [];
    if (name !== undefined && value !== undefined) return [name, value] as const;
    throw new UsageFailure(`--property must be NAME=VALUE, not "${written}"`);
  });
  return Object.fromEntries(pairs);
}
