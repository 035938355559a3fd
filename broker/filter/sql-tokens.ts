// Cuts an SQL filter expression into words, names, values and symbols. Blanks and comments are passed over.
import { type SqlNumber } from "./numeric-text.ts";
import { shown, sqlError } from "./sql-error.ts";

/** Words with a meaning, in any case; as names of properties they cannot be used. */
const words = [
  "AND",
  "BETWEEN",
  "CONTAINS",
  "ENDSWITH",
  "FALSE",
  "IN",
  "IS",
  "NOT",
  "NULL",
  "OR",
  "STARTSWITH",
  "TRUE",
] as const;

/** One of the words. */
export type Word = (typeof words)[number];

/** The symbols, longer ones first. */
const symbols = ["<>", "<=", ">=", "<", ">", "=", "(", ")", ",", "+", "-"] as const;

/** One of the symbols. */
export type SqlSymbol = (typeof symbols)[number];

/** A piece of the expression; `at` is the 0-based index of its first character. */
export type Token =
  | { readonly kind: "word"; readonly word: Word; readonly at: number }
  | { readonly kind: "name"; readonly name: string; readonly at: number }
  | { readonly kind: "text"; readonly text: string; readonly at: number }
  | { readonly kind: "number"; readonly number: SqlNumber; readonly at: number }
  | { readonly kind: "symbol"; readonly symbol: SqlSymbol; readonly at: number }
  | { readonly kind: "end"; readonly at: number };

const wordSet: ReadonlySet<string> = new Set(words);
const blank = /[ \t\n\r\f]+/y;
const lineComment = /--[^\n\r]*/y;
const namePattern = /[A-Za-z_$][A-Za-z0-9_$]*/y;
const decimalPattern = /(?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+/y;
const wholePattern = /(\d+)[lL]?/y;

/** Java's largest long. */
const wholeMax = 2n ** 63n - 1n;

/** What people who know other dialects write, and what to write instead. */
const strangers: Readonly<Record<string, string>> = {
  "!": "not equal is <>, and NOT negates",
  "&": "use AND",
  "|": "use OR",
  '"': "texts stand between single quotes, names of properties stand alone",
  "`": "names of properties stand alone",
  "*": "there is no arithmetic; for all messages use a tag filter with *",
  "/": "there is no arithmetic",
  "%": "there is no arithmetic",
};

/** Reads one token after the other. */
export class SqlTokens {
  readonly #expression: string;
  #at = 0;

  constructor(expression: string) {
    this.#expression = expression;
  }

  /** The next token; at the end always `end`. Throws ILLEGAL_FILTER_EXPRESSION at what is no token. */
  read(): Token {
    this.#passBlanks();
    const at = this.#at;
    if (at >= this.#expression.length) return { kind: "end", at };
    if (this.#expression[at] === "'") return { kind: "text", text: this.#text(), at };
    const name = this.#take(namePattern);
    if (name !== undefined) return named(name, at);
    const number = this.#number();
    if (number !== undefined) return { kind: "number", number, at };
    const symbol = symbols.find((one) => this.#expression.startsWith(one, at));
    if (symbol === undefined) throw this.#stranger();
    this.#at += symbol.length;
    return { kind: "symbol", symbol, at };
  }

  #passBlanks(): void {
    for (;;) {
      const at = this.#at;
      const first = this.#expression[at] ?? "";
      if (first > "/") return;
      if (this.#take(blank) !== undefined) continue;
      if (first === "-" && this.#take(lineComment) !== undefined) continue;
      if (first !== "/" || this.#expression[at + 1] !== "*") return;
      const end = this.#expression.indexOf("*/", at + 2);
      if (end < 0) throw sqlError(this.#expression, at, "the comment that begins here has no */");
      this.#at = end + 2;
    }
  }

  /** What `pattern`, a sticky one, finds here, and goes past it. */
  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#expression)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  /** The text between two quotes; a doubled quote stands for one. */
  #text(): string {
    const start = this.#at;
    for (let from = start + 1; ; ) {
      const end = this.#expression.indexOf("'", from);
      if (end < 0) {
        throw sqlError(this.#expression, start, "the text that begins here has no closing quote");
      }
      if (this.#expression[end + 1] !== "'") {
        this.#at = end + 1;
        return this.#expression.slice(start + 1, end).replaceAll("''", "'");
      }
      from = end + 2;
    }
  }

  #number(): SqlNumber | undefined {
    const at = this.#at;
    const decimal = this.#take(decimalPattern);
    if (decimal !== undefined) {
      const value = Number(decimal);
      if (Number.isFinite(value)) return value;
      throw sqlError(this.#expression, at, `the number is over ${Number.MAX_VALUE}`);
    }
    const whole = this.#take(wholePattern);
    if (whole === undefined) return undefined;
    const digits = whole.replace(/[lL]$/, "");
    const value = Number(digits);
    if (Number.isSafeInteger(value)) return value;
    const exact = BigInt(digits);
    if (exact <= wholeMax) return exact;
    const advice = "for a larger one write a decimal point or an exponent";
    throw sqlError(this.#expression, at, `a whole number is at most ${wholeMax}; ${advice}`);
  }

  #stranger(): Error {
    const at = this.#at;
    const character = String.fromCodePoint(this.#expression.codePointAt(at) ?? 0);
    const hint = strangers[character];
    const problem = `${shown(character)} has no meaning here${hint === undefined ? "" : `: ${hint}`}`;
    return sqlError(this.#expression, at, problem);
  }
}

function named(name: string, at: number): Token {
  const word = name.toUpperCase();
  return isWord(word) ? { kind: "word", word, at } : { kind: "name", name, at };
}

function isWord(text: string): text is Word {
  return wordSet.has(text);
}
