// Which messages a consumer wants: all, those with one of some tags, or those for which an SQL condition is true.
import { readMessageProperties } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import { SqlFilter } from "../filter/index.ts";
import { type RecordView, tagHash } from "../store/index.ts";

/** A parsed filter expression. */
export type Filter =
  | { readonly kind: "all" }
  | {
      readonly kind: "tags";
      readonly tags: ReadonlySet<string>;
      /** Hashes of the tags, as consume queues keep them. A hash may be shared: the tag itself decides. */
      readonly hashes: ReadonlySet<number>;
    }
  | { readonly kind: "sql"; readonly condition: SqlFilter };

/** `apache.rocketmq.v2.FilterType`. */
export const filterType = { unspecified: 0, tag: 1, sql: 2 } as const;

/** The filter that lets everything through. */
export const matchAll: Filter = { kind: "all" };

/**
 * Parses the filter of a subscription. `type` is a number of `filterType`; without one it is a tag expression.
 * Tags are separated by `||`, blanks around them do not count; empty or `*` means all. SQL: docs/filters.md.
 * Throws ILLEGAL_FILTER_EXPRESSION naming the problem and, in SQL, the position.
 */
export function parseFilter(type: number, expression: string): Filter {
  const known: readonly number[] = Object.values(filterType);
  if (!known.includes(type)) {
    const allowed = `use TAG (${filterType.tag}) or SQL (${filterType.sql})`;
    throw new MqError("ILLEGAL_FILTER_EXPRESSION", `filter type ${type} is unknown: ${allowed}`);
  }
  if (expression.length > limits.filterExpressionLengthMax) {
    throw illegal(
      `it has ${expression.length} characters, at most ${limits.filterExpressionLengthMax} are allowed`,
      expression.slice(0, 64),
    );
  }
  if (type === filterType.sql) return { kind: "sql", condition: SqlFilter.parse(expression) };
  return parseTags(expression);
}

function parseTags(expression: string): Filter {
  const text = expression.trim();
  if (text === "" || text === "*") return matchAll;
  const tags = new Set<string>();
  for (const part of text.split("||")) {
    const tag = part.trim();
    if (tag === "*") return matchAll;
    if (tag === "") continue;
    checkTag(tag, text);
    tags.add(tag);
  }
  if (tags.size === 0) throw illegal("it names no tag", text);
  return { kind: "tags", tags, hashes: new Set([...tags].map((tag) => tagHash(tag))) };
}

function checkTag(tag: string, expression: string): void {
  if (tag.includes("|")) {
    throw illegal(
      `the tag ${JSON.stringify(tag)} holds a single |; tags are separated by ||`,
      expression,
    );
  }
  // oxlint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f-\u009f]/.test(tag)) {
    throw illegal(`the tag ${JSON.stringify(tag)} holds a control character`, expression);
  }
}

function illegal(problem: string, expression: string): MqError {
  return new MqError(
    "ILLEGAL_FILTER_EXPRESSION",
    `filter expression ${JSON.stringify(expression)} is not allowed: ${problem}`,
  );
}

/** Whether a message whose tag has this hash may match. */
export function passesHash(filter: Filter, hash: number): boolean {
  return filter.kind !== "tags" || filter.hashes.has(hash);
}

/** Whether a message matches whose hash passes. */
export function matches(filter: Filter, record: RecordView): boolean {
  if (filter.kind === "all") return true;
  if (filter.kind === "sql") return filter.condition.matches(record);
  const { tag } = readMessageProperties(record.systemProperties);
  return tag !== undefined && filter.tags.has(tag);
}

/** Entries that one receive with this filter looks at in one go: fewer when each look costs more. */
export function scanCountMax(filter: Filter): number {
  if (filter.kind !== "sql") return limits.receiveScanCountMax;
  return Math.max(1, Math.floor(limits.receiveScanCountMax / filter.condition.cost));
}
