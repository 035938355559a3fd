// Writes random conditions down, in one of the many ways that mean the same: case of words, blanks, comments, and
// parentheses that are needed or not.
import type { Tree, Value } from "./slow-sql.ts";

/** Binding of a condition: what binds weaker needs parentheses. */
const levels = { or: 1, and: 2, not: 3, equality: 4, comparison: 5, value: 6 } as const;

/** Spells conditions; `noise` are random numbers, taken in turn. */
export class Speller {
  readonly #noise: readonly number[];
  #at = 0;

  constructor(noise: readonly number[]) {
    this.#noise = noise;
  }

  /** The text of `tree`. */
  spell(tree: Tree): string {
    return this.#tree(tree, levels.or);
  }

  #next(countMax: number): number {
    return (this.#noise[this.#at++ % this.#noise.length] ?? 0) % countMax;
  }

  #blank(): string {
    const blanks = [
      " ",
      " ",
      " ",
      "  ",
      "\t",
      "\n",
      "\r\n",
      "\f",
      " /* a 'comment' ** */ ",
      " -- (\n",
    ];
    return blanks[this.#next(blanks.length)] ?? " ";
  }

  #join(...pieces: readonly string[]): string {
    return pieces.reduce((text, piece) => `${text}${this.#blank()}${piece}`);
  }

  /** A word of the language, in one of its cases. */
  #word(word: string): string {
    const spellings = [
      word,
      word.toLowerCase(),
      `${word.slice(0, 1)}${word.slice(1).toLowerCase()}`,
    ];
    return spellings[this.#next(spellings.length)] ?? word;
  }

  #tree(tree: Tree, level: number): string {
    const [text, own] = this.#bare(tree);
    const isWrapped = own < level || this.#next(8) === 0;
    return isWrapped ? `(${this.#next(2) === 0 ? "" : this.#blank()}${text})` : text;
  }

  /** The text without parentheses, and how it binds. */
  #bare(tree: Tree): readonly [string, number] {
    const not = "isNegated" in tree && tree.isNegated ? [this.#word("NOT")] : [];
    switch (tree.kind) {
      case "OR":
      case "AND": {
        const level = tree.kind === "OR" ? levels.or : levels.and;
        const [left, right] = [this.#tree(tree.left, level), this.#tree(tree.right, level + 1)];
        return [this.#join(left, this.#word(tree.kind), right), level];
      }
      case "NOT":
        return [this.#join(this.#word("NOT"), this.#tree(tree.part, levels.not)), levels.not];
      case "same": {
        const left = this.#tree(tree.left, levels.equality);
        const right = this.#tree(tree.right, levels.comparison);
        return [this.#join(left, tree.isNegated ? "<>" : "=", right), levels.equality];
      }
      case "unknown": {
        const part = this.#tree(tree.part, levels.equality);
        return [this.#join(part, this.#word("IS"), ...not, this.#word("NULL")), levels.equality];
      }
      case "missing":
        return [
          this.#join(this.#value(tree.value), this.#word("IS"), ...not, this.#word("NULL")),
          levels.equality,
        ];
      case "=":
      case "<>":
        return [
          this.#join(this.#value(tree.left), tree.kind, this.#value(tree.right)),
          levels.equality,
        ];
      case "flag":
        return [tree.name, levels.value];
      case "TRUE":
      case "FALSE":
      case "NULL":
        return [this.#word(tree.kind), levels.value];
      default:
        return [this.#comparison(tree, not), levels.comparison];
    }
  }

  #comparison(
    tree: Extract<
      Tree,
      | { readonly kind: "<" | "<=" | ">" | ">=" }
      | { readonly kind: "BETWEEN" | "IN" }
      | { readonly kind: "CONTAINS" | "STARTSWITH" | "ENDSWITH" }
    >,
    not: readonly string[],
  ): string {
    switch (tree.kind) {
      case "BETWEEN": {
        const [value, low, high] = [tree.value, tree.low, tree.high].map((one) => this.#value(one));
        const [between, and] = [this.#word("BETWEEN"), this.#word("AND")];
        return this.#join(value ?? "", ...not, between, low ?? "", and, high ?? "");
      }
      case "IN": {
        const list = tree.texts.map(quoted).join(this.#next(2) === 0 ? "," : ` ,${this.#blank()}`);
        return this.#join(this.#value(tree.value), ...not, this.#word("IN"), `(${list})`);
      }
      case "CONTAINS":
      case "STARTSWITH":
      case "ENDSWITH":
        return this.#join(
          this.#value(tree.value),
          ...not,
          this.#word(tree.kind),
          quoted(tree.text),
        );
      default:
        return this.#join(this.#value(tree.left), tree.kind, this.#value(tree.right));
    }
  }

  #value(value: Value): string {
    switch (value.kind) {
      case "name":
        return this.#next(8) === 0 ? `(${value.name})` : value.name;
      case "text":
        return quoted(value.text);
      case "number":
        return value.written;
      default:
        return this.#join(value.sign, this.#value(value.value));
    }
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
