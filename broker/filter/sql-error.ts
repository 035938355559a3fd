// Refuses an SQL filter expression: says where and why, with the piece of it around that place.
import { MqError } from "../../base/index.ts";

/** Characters of an expression that a message shows before and after the place. */
const shownLength = 32;

/** ILLEGAL_FILTER_EXPRESSION for the character with the 0-based index `at`; messages count from 1. */
export function sqlError(expression: string, at: number, problem: string): MqError {
  const position = at + 1;
  return new MqError(
    "ILLEGAL_FILTER_EXPRESSION",
    `filter expression ${excerpt(expression, at)} is not allowed at character ${position}: ${problem}`,
    { facts: { position } },
  );
}

function excerpt(expression: string, at: number): string {
  const from = at - shownLength <= 1 ? 0 : at - shownLength;
  const end = at + shownLength >= expression.length - 1 ? expression.length : at + shownLength;
  const piece = JSON.stringify(expression.slice(from, end)).slice(1, -1);
  return `"${from > 0 ? "…" : ""}${piece}${end < expression.length ? "…" : ""}"`;
}

/** A text or name as messages show it. */
export function shown(text: string): string {
  return JSON.stringify(text.length > shownLength ? `${text.slice(0, shownLength)}…` : text);
}
