// What SQL filters mean, written down a second time: random conditions as trees, their text in random spelling, and a
// slow evaluation of the trees by exact decimal arithmetic and Kleene's minimum and maximum. Shares nothing with the
// parser and the compiler.
import * as fc from "fast-check";

/** A value that is compared. */
export type Value =
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "number"; readonly written: string }
  | { readonly kind: "sign"; readonly sign: "+" | "-"; readonly value: Value };

/** A condition. */
export type Tree =
  | { readonly kind: "OR" | "AND"; readonly left: Tree; readonly right: Tree }
  | { readonly kind: "NOT"; readonly part: Tree }
  | { readonly kind: "=" | "<>"; readonly left: Value; readonly right: Value }
  | {
      readonly kind: "same";
      readonly isNegated: boolean;
      readonly left: Tree;
      readonly right: Tree;
    }
  | { readonly kind: "<" | "<=" | ">" | ">="; readonly left: Value; readonly right: Value }
  | {
      readonly kind: "BETWEEN";
      readonly isNegated: boolean;
      readonly value: Value;
      readonly low: Value;
      readonly high: Value;
    }
  | {
      readonly kind: "IN";
      readonly isNegated: boolean;
      readonly value: Value;
      readonly texts: readonly string[];
    }
  | {
      readonly kind: "CONTAINS" | "STARTSWITH" | "ENDSWITH";
      readonly isNegated: boolean;
      readonly value: Value;
      readonly text: string;
    }
  | { readonly kind: "missing"; readonly isNegated: boolean; readonly value: Value }
  | { readonly kind: "unknown"; readonly isNegated: boolean; readonly part: Tree }
  | { readonly kind: "flag"; readonly name: string }
  | { readonly kind: "TRUE" | "FALSE" | "NULL" };

/** A message as conditions see it. */
export type Properties = Readonly<Record<string, string>>;

/** 1 true, 0 false, a half unknown. */
export type Degree = 0 | 0.5 | 1;

const names = ["a", "b", "A", "$c", "_d1", "and1", "TAGS", "KEYS", "UNIQ_KEY", "DLQ_ORIGIN_TOPIC"];

/** Names that expressions use. */
export const anyName: fc.Arbitrary<string> = fc.constantFrom(...names);

const texts = [
  ["", "5", "5.0", "05", "-5", "+5", "5e0", ".5", "50e-1", "5.", "-0", "0", "1e3", "1000"],
  ["9007199254740992", "9007199254740993", "-9007199254740993", "+9223372036854775807"],
  [" 5", "5 ", "0x5", "NaN", "Infinity", "1_0", "5d", "--5", ".", "e5", "5e"],
  ["true", "TRUE", "False", "yes", "abc", "ABC", "ab", "bc", "a'b", "''", "--", "/*", "é😀"],
].flat();

/** Texts that meet often, numbers in many spellings among them. */
export const anyText: fc.Arbitrary<string> = fc.constantFrom(...texts);

const numbers = [
  ["0", "5", "5L", "5.0", ".5", "5.", "5E0", "50e-1", "1000", "1e3", "1E+3", "007"],
  ["9007199254740992", "9007199254740993l", "9223372036854775807", "0.0"],
].flat();
const anyNumber = fc.constantFrom(...numbers);

/** A message with some of the properties. */
export const anyProperties: fc.Arbitrary<Properties> = fc.dictionary(anyName, anyText, {
  noNullPrototype: true,
});

const nameValue: fc.Arbitrary<Value> = fc.record({ kind: fc.constant("name"), name: anyName });
const textValue: fc.Arbitrary<Value> = fc.record({ kind: fc.constant("text"), text: anyText });
const plainNumber: fc.Arbitrary<Value> = fc.oneof(
  { weight: 3, arbitrary: nameValue },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("number"), written: anyNumber }) },
);
const sign = fc.constantFrom("+", "-");
const signed = (value: fc.Arbitrary<Value>): fc.Arbitrary<Value> =>
  fc.record({ kind: fc.constant("sign"), sign, value });
const numberValue: fc.Arbitrary<Value> = fc.oneof(
  { weight: 5, arbitrary: plainNumber },
  { weight: 1, arbitrary: signed(plainNumber) },
  { weight: 1, arbitrary: signed(signed(plainNumber)) },
);
const stringValue = fc.oneof(
  { weight: 9, arbitrary: nameValue },
  { weight: 1, arbitrary: textValue },
);
const isNegated = fc.boolean();

/** Any condition that the grammar allows, of moderate size. */
export const anyTree: fc.Arbitrary<Tree> = fc.letrec<{ tree: Tree; leaf: Tree }>((tie) => ({
  leaf: fc.oneof(
    fc.record({
      kind: fc.constantFrom("=", "<>"),
      left: fc.oneof(numberValue, textValue),
      right: fc.oneof(numberValue, textValue),
    }),
    fc.record({
      kind: fc.constantFrom("<", "<=", ">", ">="),
      left: numberValue,
      right: numberValue,
    }),
    fc
      .record({
        kind: fc.constant("BETWEEN"),
        isNegated,
        value: numberValue,
        low: numberValue,
        high: numberValue,
      })
      .filter(({ low, high }) => !isEmptyRange(low, high)),
    fc.record({
      kind: fc.constant("IN"),
      isNegated,
      value: stringValue,
      texts: fc.array(anyText, { minLength: 1, maxLength: 4 }),
    }),
    fc.record({
      kind: fc.constantFrom("CONTAINS", "STARTSWITH", "ENDSWITH"),
      isNegated,
      value: stringValue,
      text: anyText,
    }),
    fc.record({
      kind: fc.constant("missing"),
      isNegated,
      value: fc.oneof(stringValue, numberValue),
    }),
    fc.record({ kind: fc.constant("flag"), name: anyName }),
    fc.record({ kind: fc.constantFrom("TRUE", "FALSE", "NULL") }),
  ),
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    tie("leaf"),
    fc.record({
      kind: fc.constantFrom("OR", "AND"),
      left: tie("tree"),
      right: tie("tree"),
    }),
    fc.record({ kind: fc.constant("NOT"), part: tie("tree") }),
    fc
      .record({ kind: fc.constant("same"), isNegated, left: tie("tree"), right: tie("tree") })
      .filter(({ left, right }) => isComparable(left, right)),
    // Of a property alone, IS NULL asks whether the message has it.
    fc
      .record({ kind: fc.constant("unknown"), isNegated, part: tie("tree") })
      .filter(({ part }) => part.kind !== "flag"),
  ),
})).tree;

/** NULL is compared with nothing, and two properties are compared as texts. */
function isComparable(left: Tree, right: Tree): boolean {
  if (left.kind === "NULL" || right.kind === "NULL") return false;
  return left.kind !== "flag" || right.kind !== "flag";
}

function isEmptyRange(low: Value, high: Value): boolean {
  const [from, to] = [constant(low), constant(high)];
  return from !== undefined && to !== undefined && compareDecimals(from, to) > 0;
}

function constant(value: Value): Decimal | undefined {
  if (value.kind === "number") return decimalOf(value.written.replace(/l$/i, ""));
  if (value.kind !== "sign") return undefined;
  const inner = constant(value.value);
  return inner === undefined || value.sign === "+" ? inner : { ...inner, digits: -inner.digits };
}

/** How true `tree` is for a message. */
export function degreeOf(tree: Tree, message: Properties): Degree {
  switch (tree.kind) {
    case "OR":
      return Math.max(degreeOf(tree.left, message), degreeOf(tree.right, message)) as Degree;
    case "AND":
      return Math.min(degreeOf(tree.left, message), degreeOf(tree.right, message)) as Degree;
    case "NOT":
      return (1 - degreeOf(tree.part, message)) as Degree;
    case "TRUE":
      return 1;
    case "FALSE":
      return 0;
    case "NULL":
      return 0.5;
    case "flag":
      return flagDegree(message[tree.name]);
    case "same": {
      const [left, right] = [degreeOf(tree.left, message), degreeOf(tree.right, message)];
      if (left === 0.5 || right === 0.5) return 0.5;
      return degree((left === right) !== tree.isNegated);
    }
    case "unknown":
      return degree((degreeOf(tree.part, message) === 0.5) !== tree.isNegated);
    case "missing":
      return degree(isMissing(tree.value, message) !== tree.isNegated);
    default:
      return comparisonDegree(tree, message);
  }
}

type Comparison = Exclude<
  Tree,
  {
    readonly kind:
      | ("OR" | "AND" | "NOT" | "TRUE" | "FALSE" | "NULL" | "flag" | "same" | "unknown")
      | "missing";
  }
>;

function comparisonDegree(tree: Comparison, message: Properties): Degree {
  switch (tree.kind) {
    case "=":
    case "<>": {
      const isEqual = equalDegree(tree.left, tree.right, message);
      return tree.kind === "=" ? isEqual : ((1 - isEqual) as Degree);
    }
    case "BETWEEN": {
      const { value, low, high } = tree;
      const isOver = degreeOf({ kind: ">=", left: value, right: low }, message);
      const isUnder = degreeOf({ kind: "<=", left: value, right: high }, message);
      const isBetween = Math.min(isOver, isUnder);
      return (tree.isNegated ? 1 - isBetween : isBetween) as Degree;
    }
    case "IN": {
      const text = textOf(tree.value, message);
      return text === undefined ? 0.5 : degree(tree.texts.includes(text) !== tree.isNegated);
    }
    case "CONTAINS":
    case "STARTSWITH":
    case "ENDSWITH": {
      const text = textOf(tree.value, message);
      if (text === undefined) return 0.5;
      if (tree.text === "") return 0;
      const places: number[] = [];
      for (let at = 0; at + tree.text.length <= text.length; at++) {
        if (text.slice(at, at + tree.text.length) === tree.text) places.push(at);
      }
      const end = text.length - tree.text.length;
      const isThere =
        tree.kind === "CONTAINS"
          ? places.length > 0
          : places.includes(tree.kind === "STARTSWITH" ? 0 : end);
      return degree(isThere !== tree.isNegated);
    }
    default: {
      const left = numberOf(tree.left, message);
      const right = numberOf(tree.right, message);
      if (left === undefined || right === undefined) return 0.5;
      const order = compareDecimals(left, right);
      const orders = { "<": [-1], "<=": [-1, 0], ">": [1], ">=": [0, 1] }[tree.kind];
      return degree(orders.includes(order));
    }
  }
}

function degree(isTrue: boolean): Degree {
  return isTrue ? 1 : 0;
}

function flagDegree(text: string | undefined): Degree {
  if (text === undefined || !["true", "false"].includes(text.toLowerCase())) return 0.5;
  return degree(text.toLowerCase() === "true");
}

function isMissing(value: Value, message: Properties): boolean {
  if (value.kind === "name") return !(value.name in message);
  return value.kind === "sign" && numberOf(value, message) === undefined;
}

function equalDegree(left: Value, right: Value, message: Properties): Degree {
  const areNumbers = [left, right].some(({ kind }) => kind === "number" || kind === "sign");
  if (areNumbers) {
    const [one, other] = [numberOf(left, message), numberOf(right, message)];
    if (one === undefined || other === undefined) return 0.5;
    return degree(compareDecimals(one, other) === 0);
  }
  const [one, other] = [textOf(left, message), textOf(right, message)];
  return one === undefined || other === undefined ? 0.5 : degree(one === other);
}

function textOf(value: Value, message: Properties): string | undefined {
  if (value.kind === "name") return message[value.name];
  return value.kind === "text" ? value.text : undefined;
}

/** `digits` × 10 ^ `exponent`. */
interface Decimal {
  readonly digits: bigint;
  readonly exponent: number;
}

function numberOf(value: Value, message: Properties): Decimal | undefined {
  if (value.kind === "sign") {
    const inner = numberOf(value.value, message);
    return inner === undefined || value.sign === "+" ? inner : { ...inner, digits: -inner.digits };
  }
  if (value.kind === "number") return constant(value);
  const text = textOf(value, message);
  return text === undefined ? undefined : decimalOf(text);
}

function isDigits(text: string): boolean {
  return text !== "" && Array.from(text).every((character) => "0123456789".includes(character));
}

function decimalOf(text: string): Decimal | undefined {
  const [mantissa = "", power, ...more] = text.toLowerCase().split("e");
  if (more.length > 0) return undefined;
  const isMinus = mantissa.startsWith("-");
  const unsigned = isMinus || mantissa.startsWith("+") ? mantissa.slice(1) : mantissa;
  const [whole = "", fraction = "", ...dots] = unsigned.split(".");
  if (dots.length > 0 || !isDigits(whole + fraction)) return undefined;
  const bare = power !== undefined && /^[+-]/.test(power) ? power.slice(1) : power;
  if (bare !== undefined && !isDigits(bare)) return undefined;
  const digits = BigInt(whole + fraction);
  return {
    digits: isMinus ? -digits : digits,
    exponent: (power === undefined ? 0 : Number(power)) - fraction.length,
  };
}

function compareDecimals(one: Decimal, other: Decimal): -1 | 0 | 1 {
  const exponent = Math.min(one.exponent, other.exponent);
  const scaled = ({ digits, exponent: own }: Decimal): bigint =>
    digits * 10n ** BigInt(own - exponent);
  const difference = scaled(one) - scaled(other);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}
