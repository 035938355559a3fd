// What a receive wants: all, a tag, or what an SQL condition holds for; in the broker's words, and as the model decides it.
import { rocketmq } from "@cometmq/proto";

const { FilterType } = rocketmq.v2;

/** What decides whether a filter matches a message. */
export interface Filtered {
  readonly tag: string;
  /** A user property; empty: the message does not have it. */
  readonly amount: string;
}

/** A filter. */
export interface Wanted {
  readonly type: number;
  readonly expression: string;
  /** The same, decided without the broker's code. */
  readonly matches: (message: Filtered) => boolean;
}

/** What takes every message. */
export const everything: Wanted = tag("*", () => true);

/** Amounts that are sent. */
export const amounts: readonly string[] = ["", "1", "2", "10"];

/** Filters that leave something out. Conditions over an amount that is not there are unknown, which is no match. */
export const filters: readonly Wanted[] = [
  tag("a", (message) => message.tag === "a"),
  tag("b", (message) => message.tag === "b"),
  sql("amount > 1", ({ amount }) => amount !== "" && Number(amount) > 1),
  sql("NOT (amount = 2)", ({ amount }) => amount !== "" && amount !== "2"),
  sql("amount IS NULL OR TAGS = 'a'", (message) => {
    return message.amount === "" || message.tag === "a";
  }),
  sql("TAGS IN ('b') AND amount BETWEEN 2 AND 10", (message) => {
    return message.tag === "b" && Number(message.amount) >= 2;
  }),
];

function tag(expression: string, matches: Wanted["matches"]): Wanted {
  return { type: FilterType.TAG, expression, matches };
}

function sql(expression: string, matches: Wanted["matches"]): Wanted {
  return { type: FilterType.SQL, expression, matches };
}
