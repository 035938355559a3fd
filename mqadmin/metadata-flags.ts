// The flags that exportMetadata and importMetadata share.
import type { FlagSpec } from "./command.ts";
import type { Flags } from "./flags.ts";
import { isSystemName, type MetadataChoice } from "./metadata-file.ts";

/** `-t`, `-g` and `-s`. */
export const choiceFlags: Readonly<Record<string, FlagSpec>> = {
  topic: { short: "t", type: "boolean", about: "only topics" },
  subscriptionGroup: { short: "g", type: "boolean", about: "only consumer groups" },
  specialTopic: {
    short: "s",
    type: "boolean",
    about: "dead-letter and retry topics too, which brokers make by themselves",
  },
};

/** What the flags choose; topics and groups when they say nothing. */
export function choiceOf(flags: Flags): MetadataChoice {
  const topics = flags.bool("topic") ?? false;
  const groups = flags.bool("subscriptionGroup") ?? false;
  return {
    topics: topics || !groups,
    groups: groups || !topics,
    system: flags.bool("specialTopic") ?? false,
  };
}

/** Those of `entries` that are chosen. */
export function chosen<T extends { readonly name: string }>(
  entries: readonly T[],
  isWanted: boolean,
  choice: MetadataChoice,
): readonly T[] {
  if (!isWanted) return [];
  return entries.filter(({ name }) => choice.system || !isSystemName(name));
}
