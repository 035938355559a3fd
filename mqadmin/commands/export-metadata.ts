// exportMetadata: topics and groups into a file, from which importMetadata makes them elsewhere.
import { writeFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { type Command, targetFlags } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import {
  type GroupEntry,
  groupEntry,
  metadataFile,
  type TopicEntry,
  topicEntry,
} from "../metadata-file.ts";
import { choiceFlags, choiceOf, chosen } from "../metadata-flags.ts";

export const exportMetadata: Command = {
  name: "exportMetadata",
  summary: "write topics and consumer groups to a file, for importMetadata",
  flags: {
    ...targetFlags,
    filePath: {
      short: "f",
      type: "string",
      value: "FILE",
      about: "file to write (standard output when not given)",
    },
    ...choiceFlags,
  },
  async run(flags, session) {
    const choice = choiceOf(flags);
    const topics = new Merged<TopicEntry>("topic");
    const groups = new Merged<GroupEntry>("group");
    const masters = await session.masters(flags);
    for (const { name, address } of masters) {
      const ofTopics = await session.call(address, session.admin.ListTopics, {});
      topics.add(name, chosen((ofTopics.topics ?? []).map(topicEntry), choice.topics, choice));
      const ofGroups = await session.call(address, session.admin.ListGroups, {});
      groups.add(name, chosen((ofGroups.groups ?? []).map(groupEntry), choice.groups, choice));
    }
    const file = metadataFile({
      brokers: masters.map(({ name }) => name),
      differences: [...topics.differences, ...groups.differences],
      topics: topics.entries(),
      groups: groups.entries(),
    });
    const text = `${JSON.stringify(file, null, 2)}\n`;
    const path = flags.text("filePath");
    if (path === undefined) return { json: file, lines: [text.trimEnd()] };
    write(path, text);
    const counts = { topics: file.topics.length, groups: file.groups.length };
    return {
      json: { file: path, ...counts, differences: file.differences },
      lines: [
        `${counts.topics} topics and ${counts.groups} groups of ${file.brokers.join(", ")} written to ${path}`,
        ...file.differences,
      ],
    };
  },
};

/** Entries of several brokers as one list; the first broker's word counts. */
class Merged<T extends { readonly name: string }> {
  readonly differences: string[] = [];
  readonly #kind: string;
  readonly #found = new Map<string, { readonly broker: string; readonly entry: T }>();

  constructor(kind: string) {
    this.#kind = kind;
  }

  add(broker: string, entries: readonly T[]): void {
    for (const entry of entries) {
      const first = this.#found.get(entry.name);
      if (first === undefined) this.#found.set(entry.name, { broker, entry });
      else if (!isDeepStrictEqual(first.entry, entry)) {
        this.differences.push(
          `${this.#kind} ${entry.name} is not the same on ${first.broker} and ${broker}; written as on ${first.broker}`,
        );
      }
    }
  }

  entries(): T[] {
    const entries = [...this.#found.values()].map(({ entry }) => entry);
    return entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  }
}

function write(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandFailure(`cannot write the file: ${reason}`);
  }
}
