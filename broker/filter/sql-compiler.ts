// Makes closures of a parsed SQL filter expression. They read the values of the properties by their slots, make no
// objects, and cannot fail: what does not fit is unknown.
import type { PickedValues } from "@cometmq/proto";
import { isSameNumber, numberOf, type SqlNumber } from "./numeric-text.ts";
import type {
  ConditionNode,
  Equality,
  NumericNode,
  OrderOperator,
  PropertyNode,
  TextNode,
  Truth,
} from "./sql-nodes.ts";

/** Decides about the message whose values these are. */
export type Condition = (values: PickedValues) => Truth;

/** Where the value of a property is in the values. */
export type SlotOf = (name: string) => number;

type NumberReader = (values: PickedValues) => SqlNumber | undefined;
type TextReader = (values: PickedValues) => string | undefined;

/** The closure of `node`. */
export function compileCondition(node: ConditionNode, slotOf: SlotOf): Condition {
  switch (node.kind) {
    case "property": {
      const slot = slotOf(node.name);
      return (values) => truthOf(values[slot]);
    }
    case "truth": {
      const { truth } = node;
      return () => truth;
    }
    case "and":
      return all(node.parts.map((part) => compileCondition(part, slotOf)));
    case "or":
      return any(node.parts.map((part) => compileCondition(part, slotOf)));
    case "not":
      return not(compileCondition(node.part, slotOf));
    case "equal": {
      const equal = compileEqual(node.equality, slotOf);
      return node.isNegated ? not(equal) : equal;
    }
    case "order":
      return compileOrder(node, slotOf);
    case "between":
      return compileBetween(node, slotOf);
    case "in":
      return compileIn(node, slotOf);
    case "match":
      return compileMatch(node, slotOf);
    default:
      return compileIsNull(node, slotOf);
  }
}

function all(parts: readonly Condition[]): Condition {
  return (values) => {
    let result: Truth = true;
    for (const part of parts) {
      const truth = part(values);
      if (truth === false) return false;
      if (truth === undefined) result = undefined;
    }
    return result;
  };
}

function any(parts: readonly Condition[]): Condition {
  return (values) => {
    let result: Truth = false;
    for (const part of parts) {
      const truth = part(values);
      if (truth === true) return true;
      if (truth === undefined) result = undefined;
    }
    return result;
  };
}

function not(part: Condition): Condition {
  return (values) => {
    const truth = part(values);
    return truth === undefined ? undefined : !truth;
  };
}

function compileEqual(equality: Equality, slotOf: SlotOf): Condition {
  switch (equality.by) {
    case "number": {
      const left = numberReader(equality.left, slotOf);
      const right = numberReader(equality.right, slotOf);
      return (values) => {
        const a = left(values);
        const b = right(values);
        return a === undefined || b === undefined ? undefined : isSameNumber(a, b);
      };
    }
    case "truth":
      return same(
        compileCondition(equality.left, slotOf),
        compileCondition(equality.right, slotOf),
      );
    default:
      return same(textReader(equality.left, slotOf), textReader(equality.right, slotOf));
  }
}

function same<V>(
  left: (values: PickedValues) => V | undefined,
  right: (values: PickedValues) => V | undefined,
): Condition {
  return (values) => {
    const a = left(values);
    const b = right(values);
    return a === undefined || b === undefined ? undefined : a === b;
  };
}

const comparisons: Readonly<Record<OrderOperator, (a: SqlNumber, b: SqlNumber) => boolean>> = {
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};

function compileOrder(
  node: Extract<ConditionNode, { readonly kind: "order" }>,
  slotOf: SlotOf,
): Condition {
  const compare = comparisons[node.operator];
  const left = numberReader(node.left, slotOf);
  const right = numberReader(node.right, slotOf);
  return (values) => {
    const a = left(values);
    const b = right(values);
    return a === undefined || b === undefined ? undefined : compare(a, b);
  };
}

/** As `value >= low AND value <= high`, also where a bound is unknown. */
function compileBetween(
  node: Extract<ConditionNode, { readonly kind: "between" }>,
  slotOf: SlotOf,
): Condition {
  const value = numberReader(node.value, slotOf);
  const low = numberReader(node.low, slotOf);
  const high = numberReader(node.high, slotOf);
  const { isNegated } = node;
  return (values) => {
    const number = value(values);
    if (number === undefined) return undefined;
    const from = low(values);
    const to = high(values);
    if ((from !== undefined && number < from) || (to !== undefined && number > to)) {
      return isNegated;
    }
    return from === undefined || to === undefined ? undefined : !isNegated;
  };
}

function compileIn(
  node: Extract<ConditionNode, { readonly kind: "in" }>,
  slotOf: SlotOf,
): Condition {
  const value = textReader(node.value, slotOf);
  const { texts, isNegated } = node;
  return (values) => {
    const text = value(values);
    return text === undefined ? undefined : texts.has(text) !== isNegated;
  };
}

function compileMatch(
  node: Extract<ConditionNode, { readonly kind: "match" }>,
  slotOf: SlotOf,
): Condition {
  const value = textReader(node.value, slotOf);
  const { operator, text: wanted, isNegated } = node;
  // As in RocketMQ: an empty text is found nowhere, and is not missing anywhere either.
  if (wanted === "") return (values) => (value(values) === undefined ? undefined : false);
  return (values) => {
    const text = value(values);
    if (text === undefined) return undefined;
    const isFound =
      operator === "CONTAINS"
        ? text.includes(wanted)
        : operator === "STARTSWITH"
          ? text.startsWith(wanted)
          : text.endsWith(wanted);
    return isFound !== isNegated;
  };
}

function compileIsNull(
  node: Extract<ConditionNode, { readonly kind: "isNull" }>,
  slotOf: SlotOf,
): Condition {
  const { isNegated, value } = node;
  const read: (values: PickedValues) => unknown =
    value.kind === "sign" || value.kind === "number"
      ? numberReader(value, slotOf)
      : value.kind === "property" || value.kind === "text"
        ? textReader(value, slotOf)
        : compileCondition(value, slotOf);
  return (values) => (read(values) === undefined) !== isNegated;
}

function numberReader(node: NumericNode | TextNode, slotOf: SlotOf): NumberReader {
  switch (node.kind) {
    case "property": {
      const slot = slotOf(node.name);
      return (values) => {
        const text = values[slot];
        return text === undefined ? undefined : numberOf(text);
      };
    }
    case "number": {
      const { number } = node;
      return () => number;
    }
    case "text": {
      const number = numberOf(node.text);
      return () => number;
    }
    default: {
      const operand = numberReader(node.operand, slotOf);
      if (!node.isMinus) return operand;
      return (values) => {
        const number = operand(values);
        return number === undefined ? undefined : -number;
      };
    }
  }
}

function textReader(node: PropertyNode | TextNode, slotOf: SlotOf): TextReader {
  if (node.kind === "property") {
    const slot = slotOf(node.name);
    return (values) => values[slot];
  }
  const { text } = node;
  return () => text;
}

/** TRUE and FALSE in any case, as a property has them; unknown for all else. */
function truthOf(text: string | undefined): Truth {
  if (text === undefined || text.length < 4 || text.length > 5) return undefined;
  const word = text.toLowerCase();
  return word === "true" ? true : word === "false" ? false : undefined;
}
