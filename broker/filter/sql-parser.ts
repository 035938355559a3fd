// The grammar of RocketMQ's SQL filters (docs/filters.md), by recursive descent. Bounded in depth and in parts, and
// checked for types: what comes out can be evaluated without an error.
//
//   condition  = and { OR and }              and = not { AND not }        not = NOT not | equality
//   equality   = comparison { ( "=" | "<>" ) comparison | IS [NOT] NULL }
//   comparison = value { ( "<" | "<=" | ">" | ">=" ) value | [NOT] BETWEEN value AND value
//                      | [NOT] IN "(" text { "," text } ")" | [NOT] ( CONTAINS | STARTSWITH | ENDSWITH ) text }
//   value      = ( "+" | "-" | NOT ) value | text | number | TRUE | FALSE | NULL | name | "(" condition ")"
import { limits } from "../../base/index.ts";
import { shown, sqlError } from "./sql-error.ts";
import type { ConditionNode, MatchOperator, OrderOperator, SqlNode } from "./sql-nodes.ts";
import { type SqlSymbol, SqlTokens, type Token, type Word } from "./sql-tokens.ts";
import { asCondition, asNumeric, asText, checkBounds, equalityOf } from "./sql-types.ts";

/** A parsed expression. */
export interface ParsedSql {
  readonly condition: ConditionNode;
  /** Properties that it names, each once. */
  readonly names: readonly string[];
  /** Operators and operands in it. */
  readonly nodeCount: number;
  /** How many of them look through a whole text. */
  readonly searchCount: number;
}

const orderOperators: ReadonlySet<string> = new Set(["<", "<=", ">", ">="]);
const matchOperators: ReadonlySet<string> = new Set(["CONTAINS", "STARTSWITH", "ENDSWITH"]);

/** Parses `expression`. Throws ILLEGAL_FILTER_EXPRESSION with the position and what was expected. */
export function parseSql(expression: string): ParsedSql {
  return new Parser(expression).parse();
}

class Parser {
  readonly #expression: string;
  readonly #tokens: SqlTokens;
  readonly #names = new Set<string>();
  #next: Token;
  #depth = 0;
  #nodeCount = 0;
  #searchCount = 0;

  constructor(expression: string) {
    this.#expression = expression;
    this.#tokens = new SqlTokens(expression);
    this.#next = this.#tokens.read();
  }

  parse(): ParsedSql {
    const condition = this.#as(asCondition, this.#or());
    if (this.#next.kind !== "end") throw this.#unexpected("AND, OR or the end");
    const [nodeCount, searchCount] = [this.#nodeCount, this.#searchCount];
    return { condition, names: [...this.#names], nodeCount, searchCount };
  }

  #or(): SqlNode {
    return this.#chain("or", "OR", () => this.#and());
  }

  #and(): SqlNode {
    return this.#chain("and", "AND", () => this.#not());
  }

  /** One part, or several with a word between them. */
  #chain(kind: "and" | "or", word: Word, part: () => SqlNode): SqlNode {
    const first = part();
    if (!this.#isWord(word)) return first;
    const parts = [this.#as(asCondition, first)];
    while (this.#takeWord(word)) parts.push(this.#as(asCondition, part()));
    return this.#node({ kind, parts, at: first.at });
  }

  #not(): SqlNode {
    const { at } = this.#next;
    if (!this.#takeWord("NOT")) return this.#equality();
    const part = this.#nested(at, () => this.#not());
    return this.#node({ kind: "not", part: this.#as(asCondition, part), at });
  }

  #equality(): SqlNode {
    let left = this.#comparison();
    for (;;) {
      const { at } = left;
      const isNegated = this.#isSymbol("<>");
      if (isNegated || this.#isSymbol("=")) {
        this.#advance();
        const equality = equalityOf(this.#expression, left, this.#comparison());
        left = this.#node({ kind: "equal", isNegated, equality, at });
      } else if (this.#takeWord("IS")) {
        const isNegated = this.#takeWord("NOT");
        if (!this.#takeWord("NULL"))
          throw this.#unexpected(isNegated ? "NULL" : "NULL or NOT NULL");
        left = this.#node({ kind: "isNull", isNegated, value: left, at });
      } else return left;
    }
  }

  #comparison(): SqlNode {
    let left = this.#value();
    for (;;) {
      const next = this.#next;
      if (next.kind === "symbol" && isOrder(next.symbol)) {
        left = this.#order(left, next.symbol);
        continue;
      }
      // After a value, NOT can only belong to the predicate that follows.
      const isNegated = this.#takeWord("NOT");
      const predicate = this.#predicate(left, isNegated);
      if (predicate === undefined) {
        if (isNegated) throw this.#unexpected("BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH");
        return left;
      }
      left = predicate;
    }
  }

  #order(left: SqlNode, operator: OrderOperator): SqlNode {
    const value = asNumeric(this.#expression, left, operator);
    this.#advance();
    const right = asNumeric(this.#expression, this.#value(), operator);
    return this.#node({ kind: "order", operator, left: value, right, at: left.at });
  }

  #predicate(left: SqlNode, isNegated: boolean): SqlNode | undefined {
    if (this.#takeWord("BETWEEN")) return this.#between(left, isNegated);
    if (this.#takeWord("IN")) {
      const value = asText(this.#expression, left, "IN");
      return this.#node({ kind: "in", isNegated, value, texts: this.#list(), at: left.at });
    }
    const next = this.#next;
    if (next.kind !== "word" || !isMatch(next.word)) return undefined;
    const operator = next.word;
    const value = asText(this.#expression, left, operator);
    this.#advance();
    const { at } = this.#next;
    const text = this.#textAfter(operator);
    if (operator === "CONTAINS") this.#search(text, at);
    return this.#node({ kind: "match", operator, isNegated, value, text, at: left.at });
  }

  #search(text: string, at: number): void {
    const { sqlFilterSearchLengthMax } = limits;
    this.#searchCount++;
    if (text.length <= sqlFilterSearchLengthMax) return;
    const problem = `CONTAINS takes at most ${sqlFilterSearchLengthMax} characters, not ${text.length}`;
    throw sqlError(this.#expression, at, problem);
  }

  #between(left: SqlNode, isNegated: boolean): SqlNode {
    const value = asNumeric(this.#expression, left, "BETWEEN");
    const low = asNumeric(this.#expression, this.#value(), "BETWEEN");
    if (!this.#takeWord("AND")) throw this.#unexpected("AND and the upper bound of BETWEEN");
    const high = asNumeric(this.#expression, this.#value(), "BETWEEN");
    checkBounds(this.#expression, low, high);
    return this.#node({ kind: "between", isNegated, value, low, high, at: left.at });
  }

  #list(): ReadonlySet<string> {
    if (!this.#takeSymbol("(")) throw this.#unexpected("( and the texts of IN");
    const texts = new Set<string>();
    do texts.add(this.#textAfter("IN"));
    while (this.#takeSymbol(","));
    if (!this.#takeSymbol(")")) throw this.#unexpected(", or ) of IN");
    return texts;
  }

  #textAfter(operator: string): string {
    const next = this.#next;
    if (next.kind !== "text") throw this.#unexpected(`a text in single quotes for ${operator}`);
    this.#advance();
    return next.text;
  }

  #value(): SqlNode {
    const next = this.#next;
    const { at } = next;
    switch (next.kind) {
      case "name":
        this.#advance();
        this.#names.add(next.name);
        return this.#node({ kind: "property", name: next.name, at });
      case "text":
        this.#advance();
        return this.#node({ kind: "text", text: next.text, at });
      case "number":
        this.#advance();
        return this.#node({ kind: "number", number: next.number, at });
      case "symbol":
        if (this.#takeSymbol("(")) return this.#parentheses(at);
        if (this.#takeSymbol("+")) return this.#sign("+", at);
        if (this.#takeSymbol("-")) return this.#sign("-", at);
        throw this.#unexpected("a property or a value");
      case "word":
        return this.#wordValue(at);
      default:
        throw this.#unexpected("a property or a value");
    }
  }

  #wordValue(at: number): SqlNode {
    if (this.#takeWord("TRUE")) return this.#node({ kind: "truth", truth: true, at });
    if (this.#takeWord("FALSE")) return this.#node({ kind: "truth", truth: false, at });
    if (this.#takeWord("NULL")) return this.#node({ kind: "truth", truth: undefined, at });
    if (!this.#takeWord("NOT")) throw this.#unexpected("a property or a value");
    const part = this.#nested(at, () => this.#value());
    return this.#node({ kind: "not", part: this.#as(asCondition, part), at });
  }

  #parentheses(at: number): SqlNode {
    const inner = this.#nested(at, () => this.#or());
    if (!this.#takeSymbol(")")) {
      throw this.#unexpected(`AND, OR or the ) for the ( at character ${at + 1}`);
    }
    return inner;
  }

  #sign(symbol: "+" | "-", at: number): SqlNode {
    const operand = this.#nested(at, () => this.#value());
    const isMinus = symbol === "-";
    const value = asNumeric(this.#expression, operand, symbol);
    if (value.kind !== "number") return this.#node({ kind: "sign", isMinus, operand: value, at });
    const number = isMinus ? -value.number : value.number;
    return this.#node({ kind: "number", number, at });
  }

  /** Goes one level deeper for `inner`, which begins after the token at `at`. */
  #nested(at: number, inner: () => SqlNode): SqlNode {
    if (this.#depth >= limits.sqlFilterDepthMax) {
      throw sqlError(
        this.#expression,
        at,
        `parentheses, NOT and signs are nested more than ${limits.sqlFilterDepthMax} deep`,
      );
    }
    this.#depth++;
    const node = inner();
    this.#depth--;
    return node;
  }

  #node<N extends SqlNode>(node: N): N {
    if (++this.#nodeCount <= limits.sqlFilterNodeCountMax) return node;
    throw sqlError(
      this.#expression,
      node.at,
      `it has more than ${limits.sqlFilterNodeCountMax} operators and operands`,
    );
  }

  #as<N>(check: (expression: string, node: SqlNode) => N, node: SqlNode): N {
    return check(this.#expression, node);
  }

  #isWord(word: Word): boolean {
    return this.#next.kind === "word" && this.#next.word === word;
  }

  #isSymbol(symbol: SqlSymbol): boolean {
    return this.#next.kind === "symbol" && this.#next.symbol === symbol;
  }

  #takeWord(word: Word): boolean {
    const isThere = this.#isWord(word);
    if (isThere) this.#advance();
    return isThere;
  }

  #takeSymbol(symbol: SqlSymbol): boolean {
    const isThere = this.#isSymbol(symbol);
    if (isThere) this.#advance();
    return isThere;
  }

  #advance(): void {
    this.#next = this.#tokens.read();
  }

  #unexpected(expected: string): Error {
    const found = this.#next;
    const problem = `expected ${expected}, found ${described(found)}`;
    return sqlError(this.#expression, found.at, `${problem}${hintFor(found)}`);
  }
}

function isOrder(symbol: SqlSymbol): symbol is OrderOperator {
  return orderOperators.has(symbol);
}

function isMatch(word: Word): word is MatchOperator {
  return matchOperators.has(word);
}

function described(token: Token): string {
  switch (token.kind) {
    case "end":
      return "the end";
    case "word":
      return token.word;
    case "name":
      return `the name ${shown(token.name)}`;
    case "text":
      return `the text ${shown(token.text)}`;
    case "number":
      return `the number ${token.number}`;
    default:
      return token.symbol;
  }
}

/** What people who know other dialects look for. */
function hintFor(token: Token): string {
  if (token.kind === "name" && token.name.toUpperCase() === "LIKE") {
    return "; there is no LIKE: use CONTAINS, STARTSWITH or ENDSWITH";
  }
  if (token.kind === "symbol" && (token.symbol === "+" || token.symbol === "-")) {
    return "; there is no arithmetic";
  }
  return "";
}
