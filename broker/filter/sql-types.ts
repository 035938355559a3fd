// Which parts of an SQL filter expression may stand where: conditions, numbers and texts. Properties may stand
// everywhere, as they are converted to what they are compared with.
import { isSameNumber } from "./numeric-text.ts";
import { shown, sqlError } from "./sql-error.ts";
import type {
  ConditionNode,
  Equality,
  NumericNode,
  PropertyNode,
  SqlNode,
  TextNode,
} from "./sql-nodes.ts";

/** `node` as a condition. Throws ILLEGAL_FILTER_EXPRESSION when it is a number or a text. */
export function asCondition(expression: string, node: SqlNode): ConditionNode {
  if (isCondition(node)) return node;
  const advice = "compare it with something";
  throw sqlError(expression, node.at, `expected a condition, found ${named(node)}: ${advice}`);
}

/** `node` as what `operator` compares by size. Throws ILLEGAL_FILTER_EXPRESSION when it is a text or a condition. */
export function asNumeric(expression: string, node: SqlNode, operator: string): NumericNode {
  if (isNumeric(node)) return node;
  const advice = node.kind === "text" ? "; write numbers without quotes" : "";
  const problem = `${operator} takes numbers and properties, found ${named(node)}${advice}`;
  throw sqlError(expression, node.at, problem);
}

/** `node` as a text for `operator`. Throws ILLEGAL_FILTER_EXPRESSION when it is a number or a condition. */
export function asText(
  expression: string,
  node: SqlNode,
  operator: string,
): PropertyNode | TextNode {
  if (isText(node)) return node;
  throw sqlError(expression, node.at, `${operator} takes a property, found ${named(node)}`);
}

/** How `left` and `right` are compared. Throws ILLEGAL_FILTER_EXPRESSION when they can never be equal for their types. */
export function equalityOf(expression: string, left: SqlNode, right: SqlNode): Equality {
  for (const node of [left, right]) {
    if (node.kind !== "truth" || node.truth !== undefined) continue;
    const problem = "NULL is equal to nothing: use IS NULL or IS NOT NULL";
    throw sqlError(expression, node.at, problem);
  }
  if (isText(left) && isText(right)) return { by: "text", left, right };
  if (isValue(left) && isValue(right)) return { by: "number", left, right };
  if (isCondition(left) && isCondition(right)) return { by: "truth", left, right };
  const problem = `${named(left)} cannot be compared with ${named(right)}`;
  throw sqlError(expression, right.at, problem);
}

/** Throws ILLEGAL_FILTER_EXPRESSION when nothing lies between two constants. */
export function checkBounds(expression: string, low: NumericNode, high: NumericNode): void {
  if (low.kind !== "number" || high.kind !== "number") return;
  if (low.number < high.number || isSameNumber(low.number, high.number)) return;
  const problem = `the lower bound ${low.number} of BETWEEN is above the upper one, ${high.number}`;
  throw sqlError(expression, low.at, problem);
}

function isCondition(node: SqlNode): node is ConditionNode {
  return node.kind !== "text" && node.kind !== "number" && node.kind !== "sign";
}

function isNumeric(node: SqlNode): node is NumericNode {
  return node.kind === "property" || node.kind === "number" || node.kind === "sign";
}

function isText(node: SqlNode): node is PropertyNode | TextNode {
  return node.kind === "property" || node.kind === "text";
}

function isValue(node: SqlNode): node is NumericNode | TextNode {
  return isNumeric(node) || node.kind === "text";
}

function named(node: SqlNode): string {
  switch (node.kind) {
    case "property":
      return `the property ${shown(node.name)}`;
    case "text":
      return `the text ${shown(node.text)}`;
    case "number":
      return `the number ${node.number}`;
    case "sign":
      return "a number";
    case "truth":
      return node.truth === undefined ? "NULL" : node.truth ? "TRUE" : "FALSE";
    default:
      return "a condition";
  }
}
