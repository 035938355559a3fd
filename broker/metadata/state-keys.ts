// The keys of the state: docs/format/state.md. Names hold no "/", which separates the parts.
import { type HeldKey, type HeldKind, heldKinds } from "./held-entry.ts";

/** First and last (exclusive) key of a range. */
export interface KeyRange {
  readonly gte: string;
  readonly lt: string;
}

/** Holds the position the state reflects. */
export const appliedKey = "applied";
/** Holds the key of receipt handles. */
export const macKeyKey = "mac-key";
/** Holds the digest of all other keys. */
export const digestKey = "digest";

/** Digits of numbers by which keys sort: enough for 2^53 - 1. */
const sortedDigits = 16;
/** The character behind "/": every key with a prefix and "/" lies before the prefix and this one. */
const behindSeparator = "0";

/** The key of a topic's definition. */
export function topicKey(name: string): string {
  return `topic/${name}`;
}

/** The key of a group's definition. */
export function groupKey(name: string): string {
  return `group/${name}`;
}

/** The key of the bounds of a queue. */
export function queueKey(topic: string, queueId: number): string {
  return `queue/${topic}/${queueId}`;
}

/** The key of a group's cursor on a queue; the keys of its pending messages follow it. */
export function cursorKey(group: string, topic: string, queueId: number): string {
  return `progress/${group}/${topic}/${queueId}`;
}

/** The key of a pending message; sorts by offset. */
export function pendingKey(cursor: string, offset: number): string {
  return `${cursor}/${sorted(offset)}`;
}

/** The key of a held message; sorts by kind, then by when it is due, then by age. */
export function heldKey({ kind, dueMs, id }: HeldKey): string {
  return `held/${kind}/${sorted(dueMs)}/${sorted(id)}`;
}

/** The keys of one kind of held messages from `from` on. */
export function heldFrom(kind: HeldKind, from: { dueMs: number; id: number }): KeyRange {
  return { gte: heldKey({ kind, ...from }), lt: below(`held/${kind}`).lt };
}

/** The key that says where a topic was deleted last: what it held before is gone. Sorts before all held messages. */
export function endedKey(topic: string): string {
  return `ended/${topic}`;
}

function sorted(value: number): string {
  return String(value).padStart(sortedDigits, "0");
}

/** All keys below `prefix` and a "/", without `prefix` itself. */
export function below(prefix: string): KeyRange {
  return { gte: `${prefix}/`, lt: `${prefix}${behindSeparator}` };
}

/** All progress of a group. */
export function groupProgress(group: string): KeyRange {
  return below(`progress/${group}`);
}

/** All progress of all groups. */
export const allProgress: KeyRange = below("progress");

/** All held messages. */
export const allHeld: KeyRange = below("held");

/** A key taken apart. */
export type StateKey =
  | { readonly kind: "applied" }
  | { readonly kind: "macKey" }
  | { readonly kind: "digest" }
  | { readonly kind: "topic"; readonly name: string }
  | { readonly kind: "group"; readonly name: string }
  | { readonly kind: "queue"; readonly topic: string; readonly queueId: number }
  | {
      readonly kind: "cursor";
      readonly group: string;
      readonly topic: string;
      readonly queueId: number;
    }
  | { readonly kind: "pending"; readonly cursor: string; readonly offset: number }
  | { readonly kind: "ended"; readonly topic: string }
  | { readonly kind: "held"; readonly held: HeldKey };

/** Takes a key apart; undefined for one that this version does not know. */
export function parseKey(key: string): StateKey | undefined {
  if (key === appliedKey) return { kind: "applied" };
  if (key === macKeyKey) return { kind: "macKey" };
  if (key === digestKey) return { kind: "digest" };
  const [space, first, second, third, fourth, ...more] = key.split("/");
  if (more.length > 0 || first === undefined) return undefined;
  if (second === undefined) {
    if (space === "ended") return { kind: space, topic: first };
    return space === "topic" || space === "group" ? { kind: space, name: first } : undefined;
  }
  if (third === undefined) {
    const queueId = wholeNumber(second);
    if (space !== "queue" || queueId === undefined) return undefined;
    return { kind: "queue", topic: first, queueId };
  }
  if (space === "held") return fourth === undefined ? parseHeld(first, second, third) : undefined;
  const queueId = wholeNumber(third);
  if (space !== "progress" || queueId === undefined) return undefined;
  if (fourth === undefined) return { kind: "cursor", group: first, topic: second, queueId };
  const offset = wholeNumber(fourth);
  if (offset === undefined) return undefined;
  return { kind: "pending", cursor: key.slice(0, key.lastIndexOf("/")), offset };
}

function parseHeld(name: string, due: string, id: string): StateKey | undefined {
  const kind = heldKinds.find((known) => known === name);
  const [dueMs, place] = [wholeNumber(due), wholeNumber(id)];
  if (kind === undefined || dueMs === undefined || place === undefined) return undefined;
  return { kind: "held", held: { kind, dueMs, id: place } };
}

function wholeNumber(text: string): number | undefined {
  if (!/^\d+$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
