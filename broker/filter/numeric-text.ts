// Numbers as they stand in properties and expressions. Whole numbers of up to 64 bits are exact, as Java's long:
// ids are compared for equality. All others are IEEE doubles.

/** A number of an SQL filter: a double, or a whole number that a double does not hold. */
export type SqlNumber = number | bigint;

/** Whole numbers of so many digits are safe integers. */
const safeDigitCount = 15;
/** Longest whole number that is kept exact, sign and all: 64 bits have 19 digits. */
const exactLengthMax = 20;

const decimal = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
const whole = /^[+-]?\d+$/;

/** The number that the whole of `text` is, without blanks; undefined when it is none. Hexadecimal, NaN and Infinity are none. */
export function numberOf(text: string): SqlNumber | undefined {
  const { length } = text;
  if (length === 0) return undefined;
  if (length > safeDigitCount) return longNumberOf(text);
  let value = 0;
  for (let at = 0; at < length; at++) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return longNumberOf(text);
    value = value * 10 + digit;
  }
  return value;
}

function longNumberOf(text: string): SqlNumber | undefined {
  if (!decimal.test(text)) return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value) || text.length > exactLengthMax || !whole.test(text)) {
    return value;
  }
  return BigInt(text.startsWith("+") ? text.slice(1) : text);
}

/** Whether two numbers are the same, whichever way they are kept. */
export function isSameNumber(one: SqlNumber, other: SqlNumber): boolean {
  // A bigint and a number are never `===`, but compare as numbers do.
  return !(one < other) && !(one > other);
}
