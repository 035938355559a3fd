// importMetadata: makes the topics and groups of a file on masters; what is there already stays as it is when it is the
// same, so that repeating it does no harm. It removes nothing.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import type { Answer } from "../answer.ts";
import { type Command, targetFlags } from "../command.ts";
import { completed, type Master, onEachMaster } from "../each-master.ts";
import { CommandFailure, UnreachableFailure } from "../failure.ts";
import {
  type GroupEntry,
  groupEntry,
  parseMetadataFile,
  type TopicEntry,
  topicEntry,
  wirePolicy,
} from "../metadata-file.ts";
import { choiceFlags, choiceOf, chosen } from "../metadata-flags.ts";
import type { Session } from "../session.ts";

export const importMetadata: Command = {
  name: "importMetadata",
  summary: "make the topics and consumer groups of a file of exportMetadata; may be repeated",
  flags: {
    ...targetFlags,
    filePath: { short: "f", type: "string", value: "FILE", about: "file to read", required: true },
    ...choiceFlags,
  },
  async run(flags, session) {
    const path = flags.required("filePath");
    const file = parseMetadataFile(read(path), path);
    const choice = choiceOf(flags);
    const wanted = {
      topics: chosen(file.topics, choice.topics, choice),
      groups: chosen(file.groups, choice.groups, choice),
    };
    const outcomes = await onEachMaster(session, flags, (master) =>
      importTo(session, master, wanted),
    );
    const failed = [...outcomes.failed, ...outcomes.done.flatMap((one) => failureOf(one))];
    const done = outcomes.done.filter((one) => failureOf(one).length === 0);
    return completed({ done, failed }, answerOf(outcomes.done));
  },
};

type Result = "created" | "changed" | "left" | "failed";

/** What became of one entry. */
interface Imported {
  readonly kind: "topic" | "group" | "broker";
  readonly name: string;
  readonly result: Result;
  /** Fields that changed, or why it failed. */
  readonly detail: string;
}

interface ImportedTo {
  readonly broker: string;
  readonly entries: readonly Imported[];
}

interface Wanted {
  readonly topics: readonly TopicEntry[];
  readonly groups: readonly GroupEntry[];
}

async function importTo(session: Session, master: Master, wanted: Wanted): Promise<ImportedTo> {
  const { admin } = session;
  const { address } = master;
  const { topics } = await session.call(address, admin.ListTopics, {});
  const { groups } = await session.call(address, admin.ListGroups, {});
  const oldTopics = byName((topics ?? []).map(topicEntry));
  const oldGroups = byName((groups ?? []).map(groupEntry));
  const entries: Imported[] = [];
  try {
    for (const topic of wanted.topics) {
      const old = oldTopics.get(topic.name);
      const send = () => session.call(address, admin.UpdateTopic, topicRequest(topic, old));
      entries.push({ kind: "topic", ...(await bring({ wanted: topic, old }, send)) });
    }
    for (const group of wanted.groups) {
      const old = oldGroups.get(group.name);
      const send = () => session.call(address, admin.UpdateGroup, groupRequest(group, old));
      entries.push({ kind: "group", ...(await bring({ wanted: group, old }, send)) });
    }
  } catch (error) {
    if (!(error instanceof UnreachableFailure)) throw error;
    const detail = `${error.message} What follows in the file was not tried.`;
    entries.push({ kind: "broker", name: master.name, result: "failed", detail });
  }
  return { broker: master.name, entries };
}

/** Sends what is not there as it should be. A refusal concerns this entry only; of a broker that is gone, UnreachableFailure is thrown. */
async function bring<T extends { readonly name: string }>(
  entry: { readonly wanted: T; readonly old: T | undefined },
  send: () => Promise<unknown>,
): Promise<Omit<Imported, "kind">> {
  const { wanted, old } = entry;
  const changed = old === undefined ? [] : changedFields(old, wanted);
  if (old !== undefined && changed.length === 0) {
    return { name: wanted.name, result: "left", detail: "" };
  }
  try {
    await send();
  } catch (error) {
    if (!(error instanceof CommandFailure) || error instanceof UnreachableFailure) throw error;
    return { name: wanted.name, result: "failed", detail: error.message };
  }
  const result = old === undefined ? "created" : "changed";
  return { name: wanted.name, result, detail: changed.join(", ") };
}

function topicRequest(topic: TopicEntry, old: TopicEntry | undefined) {
  return { ...topic, removedAttributes: removed(old, topic) };
}

function groupRequest(group: GroupEntry, old: GroupEntry | undefined) {
  return { ...group, retryPolicy: wirePolicy(group), removedAttributes: removed(old, group) };
}

interface WithAttributes {
  readonly attributes: Readonly<Record<string, string>>;
}

function removed(old: WithAttributes | undefined, wanted: WithAttributes): string[] {
  // Which brokers a topic is on is not in the file: that is the cluster's own business.
  const isKept = (key: string): boolean => key in wanted.attributes || key === "fifo.brokers";
  return Object.keys(old?.attributes ?? {}).filter((key) => !isKept(key));
}

function changedFields<T extends object>(old: T, wanted: T): string[] {
  // Fields that this version does not know are not compared: they are not sent either.
  const keys = Object.keys(old) as (keyof T & string)[];
  return keys.filter((key) => !isDeepStrictEqual(old[key], wanted[key]));
}

function byName<T extends { readonly name: string }>(entries: readonly T[]): Map<string, T> {
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function failureOf({ broker, entries }: ImportedTo): { broker: string; failure: string }[] {
  const failed = entries.filter(({ result }) => result === "failed");
  if (failed.length === 0) return [];
  const what = failed.map(({ kind, name, detail }) => `${kind} ${name}: ${detail}`).join("; ");
  return [{ broker, failure: what }];
}

function answerOf(all: readonly ImportedTo[]): Answer {
  return {
    json: all,
    lines: all.map(({ broker, entries }) => {
      const counts = (["created", "changed", "left", "failed"] as const).map(
        (wanted) => `${entries.filter(({ result }) => result === wanted).length} ${wanted}`,
      );
      return `${broker}: ${counts.join(", ")}`;
    }),
    table: {
      columns: ["Broker", "Kind", "Name", "Result", "What"],
      rows: all.flatMap(({ broker, entries }) =>
        entries.map((entry) => [broker, entry.kind, entry.name, entry.result, entry.detail]),
      ),
    },
  };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandFailure(`cannot read the file: ${reason}`);
  }
}
