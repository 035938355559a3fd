// The file of exportMetadata and importMetadata: topics and groups of a cluster as JSON with a version.
// Later versions may add fields; what is here keeps its meaning.
import type { cometmq, google, rocketmq } from "@cometmq/proto";
import { CommandFailure } from "./failure.ts";
import { parseRetryPolicy, type WirePolicy } from "./retry-policy.ts";

/** Version that is written, and the newest that is read. */
export const metadataVersion = 1;
const format = "cometmq-metadata";

/** A topic, without what belongs to one broker. */
export interface TopicEntry {
  readonly name: string;
  readonly readQueues: number;
  readonly writeQueues: number;
  readonly perm: number;
  readonly messageType: string;
  readonly order: boolean;
  readonly attributes: Readonly<Record<string, string>>;
}

/** A consumer group, without what belongs to one broker. */
export interface GroupEntry {
  readonly name: string;
  readonly consumeEnable: boolean;
  readonly consumeBroadcastEnable: boolean;
  readonly consumeMessageOrderly: boolean;
  readonly retryMaxTimes: number;
  /** As `updateSubGroup -p` takes it. */
  readonly retryPolicy: object;
  readonly consumeFrom: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** The whole file. */
export interface MetadataFile {
  readonly format: typeof format;
  readonly version: number;
  /** ISO 8601. */
  readonly exportedAt: string;
  /** Brokers that were asked. */
  readonly brokers: readonly string[];
  /** Where brokers said different things of one name; the first broker's word is in the file. */
  readonly differences: readonly string[];
  readonly topics: readonly TopicEntry[];
  readonly groups: readonly GroupEntry[];
}

/** Which of its entries a command is for. */
export interface MetadataChoice {
  readonly topics: boolean;
  readonly groups: boolean;
  /** Dead-letter and retry topics too. */
  readonly system: boolean;
}

/** Puts a file together. */
export function metadataFile(
  parts: Pick<MetadataFile, "brokers" | "differences" | "topics" | "groups">,
): MetadataFile {
  return { format, version: metadataVersion, exportedAt: new Date().toISOString(), ...parts };
}

/** Whether the broker makes this topic by itself, for a group. */
export function isSystemName(name: string): boolean {
  return name.startsWith("%DLQ%") || name.startsWith("%RETRY%");
}

/** Takes a topic off the wire. */
export function topicEntry(topic: cometmq.v1.ITopicConfig): TopicEntry {
  // The brokers of a topic are those of the cluster it is in.
  const { "message.type": _, "fifo.brokers": __, ...attributes } = topic.attributes ?? {};
  return {
    name: topic.name ?? "",
    readQueues: topic.readQueues ?? 0,
    writeQueues: topic.writeQueues ?? 0,
    perm: topic.perm ?? 0,
    messageType: topic.messageType ?? "",
    order: topic.order ?? false,
    attributes,
  };
}

/** Takes a group off the wire. */
export function groupEntry(group: cometmq.v1.IGroupConfig): GroupEntry {
  const { "consume.from": _, ...attributes } = group.attributes ?? {};
  return {
    name: group.name ?? "",
    consumeEnable: group.consumeEnable ?? false,
    consumeBroadcastEnable: group.consumeBroadcastEnable ?? false,
    consumeMessageOrderly: group.consumeMessageOrderly ?? false,
    retryMaxTimes: group.retryMaxTimes ?? 0,
    retryPolicy: writtenPolicy(group.retryPolicy ?? {}),
    consumeFrom: group.consumeFrom ?? "default",
    attributes,
  };
}

/** The policy of an entry for the wire. Throws UsageFailure that shows the two forms. */
export function wirePolicy(entry: GroupEntry): WirePolicy {
  return parseRetryPolicy(JSON.stringify(entry.retryPolicy)) ?? {};
}

/** Reads a file's text. Throws CommandFailure that says what in it is wrong. */
export function parseMetadataFile(
  text: string,
  path: string,
): Pick<MetadataFile, "topics" | "groups"> {
  const wrong = (what: string): CommandFailure =>
    new CommandFailure(`${path} ${what}; it must be a file of mqadmin exportMetadata`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw wrong(`is no JSON (${error instanceof Error ? error.message : String(error)})`);
  }
  if (!isRecord(parsed) || parsed["format"] !== format) throw wrong(`has no "format": "${format}"`);
  const version = parsed["version"];
  if (typeof version !== "number" || !Number.isInteger(version) || version < 1) {
    throw wrong(`has no version`);
  }
  if (version > metadataVersion) {
    throw new CommandFailure(
      `${path} has version ${version}; this mqadmin reads up to ${metadataVersion}: use the mqadmin that wrote it, or a newer one`,
    );
  }
  return {
    // The fields of each entry have been checked.
    topics: checked(parsed["topics"], topicFields, (what) =>
      wrong(`has ${what} in topics`),
    ) as TopicEntry[],
    groups: checked(parsed["groups"], groupFields, (what) =>
      wrong(`has ${what} in groups`),
    ) as GroupEntry[],
  };
}

const topicFields: Readonly<Record<keyof TopicEntry, string>> = {
  name: "string",
  readQueues: "number",
  writeQueues: "number",
  perm: "number",
  messageType: "string",
  order: "boolean",
  attributes: "object",
};

const groupFields: Readonly<Record<keyof GroupEntry, string>> = {
  name: "string",
  consumeEnable: "boolean",
  consumeBroadcastEnable: "boolean",
  consumeMessageOrderly: "boolean",
  retryMaxTimes: "number",
  retryPolicy: "object",
  consumeFrom: "string",
  attributes: "object",
};

function checked(
  value: unknown,
  fields: Readonly<Record<string, string>>,
  wrong: (what: string) => CommandFailure,
): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong("no list");
  const names = new Set<unknown>();
  for (const [index, entry] of value.entries()) {
    if (!isRecord(entry)) throw wrong(`no object at place ${index}`);
    const name = typeof entry["name"] === "string" ? entry["name"] : `place ${index}`;
    for (const [field, type] of Object.entries(fields)) {
      const isRight = type === "object" ? isRecord(entry[field]) : typeof entry[field] === type;
      if (!isRight) throw wrong(`a ${field} that is no ${type} (${name})`);
    }
    if (!isTextMap(entry["attributes"])) throw wrong(`attributes that are not all text (${name})`);
    if (names.has(name)) throw wrong(`${name} twice`);
    names.add(name);
  }
  return value;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTextMap(value: unknown): boolean {
  return isRecord(value) && Object.values(value).every((text) => typeof text === "string");
}

function writtenPolicy(policy: rocketmq.v2.IRetryPolicy): object {
  const { exponentialBackoff, customizedBackoff } = policy;
  if (exponentialBackoff) {
    const exponentialRetryPolicy = {
      initial: msOf(exponentialBackoff.initial),
      max: msOf(exponentialBackoff.max),
      multiplier: exponentialBackoff.multiplier ?? 0,
    };
    return { type: "EXPONENTIAL", exponentialRetryPolicy };
  }
  const next = (customizedBackoff?.next ?? []).map((wait) => msOf(wait));
  return { type: "CUSTOMIZED", customizedRetryPolicy: { next } };
}

function msOf(duration: google.protobuf.IDuration | null | undefined): number {
  return (duration?.seconds ?? 0) * 1000 + (duration?.nanos ?? 0) / 1_000_000;
}
