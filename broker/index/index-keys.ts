// The keys of the message index: docs/format/key-index.md. Entries are grouped by generation, a run of
// the log, so that what has expired is one range at the beginning.

/** What a message can be found by. */
export interface Sought {
  readonly topic: string;
  /** Exactly one of a message key and a message id. */
  readonly by: { readonly key: string } | { readonly id: string };
}

/** First and last (exclusive) key of a range. */
export interface IndexRange {
  readonly gte: string;
  readonly lt: string;
}

/** Says up to where the log is in the index; lies behind all entries. */
export const indexedKey = "indexed";

/** Bytes of the log in one generation. */
const generationSize = 2 ** 30;
const generationDigits = 6;
const timeDigits = 12;
const positionDigits = 14;
const timeMax = 16 ** timeDigits - 1;
/** Control characters are in no topic, key or id. */
const separator = "\u0000";
/** Follows every hexadecimal digit. */
const behindDigits = "g";

/** The generation that the record at `position` belongs to. */
export function generationOf(position: number): number {
  return Math.floor(position / generationSize);
}

/** The key of one entry; entries of one thing sort by time, then position. */
export function entryKey(
  sought: Sought,
  record: { readonly position: number; readonly storeTimeMs: number },
): string {
  const place = hex(record.storeTimeMs, timeDigits) + hex(record.position, positionDigits);
  return prefixOf(sought, generationOf(record.position)) + place;
}

/** The position in an entry's key. */
export function positionIn(key: string): number {
  return Number.parseInt(key.slice(-positionDigits), 16);
}

/** The entries of one generation for `sought` that were stored in `[beginMs, endMs]`. */
export function entriesOf(
  sought: Sought,
  generation: number,
  time: { readonly beginMs: number; readonly endMs: number },
): IndexRange {
  const prefix = prefixOf(sought, generation);
  return {
    gte: prefix + hex(time.beginMs, timeDigits),
    lt: prefix + hex(time.endMs, timeDigits) + behindDigits,
  };
}

/** Everything in generations before `generation`. */
export function generationsBelow(generation: number): IndexRange {
  return { gte: hex(0, generationDigits), lt: hex(generation, generationDigits) };
}

function prefixOf(sought: Sought, generation: number): string {
  const { topic, by } = sought;
  const what = "key" in by ? `k${by.key}` : `i${by.id}`;
  return `${hex(generation, generationDigits)}${topic}${separator}${what}${separator}`;
}

function hex(value: number, digits: number): string {
  const whole = Math.max(0, Math.min(Math.floor(value), timeMax, 16 ** digits - 1));
  return whole.toString(16).padStart(digits, "0");
}
