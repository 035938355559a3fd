// What the parser makes of an SQL filter expression: a tree whose types fit, so that evaluating it cannot fail.
import type { SqlNumber } from "./numeric-text.ts";

/** Three-valued logic; undefined is unknown. */
export type Truth = boolean | undefined;

/** `at` is the 0-based index of its first character. */
interface At {
  readonly at: number;
}

/** A property of the message: a text that is converted to what it is compared with, or unknown. */
export interface PropertyNode extends At {
  readonly kind: "property";
  readonly name: string;
}

/** A constant text. */
export interface TextNode extends At {
  readonly kind: "text";
  readonly text: string;
}

/** A constant number. */
export interface NumberNode extends At {
  readonly kind: "number";
  readonly number: SqlNumber;
}

/** The number that a property is, perhaps negated. */
export interface SignNode extends At {
  readonly kind: "sign";
  readonly isMinus: boolean;
  readonly operand: PropertyNode | SignNode;
}

/** What numbers can be compared with: never a constant text or a condition. */
export type NumericNode = PropertyNode | NumberNode | SignNode;

/** What is compared for equality, by the type of what is no property: texts when both are properties. */
export type Equality =
  | {
      readonly by: "number";
      readonly left: NumericNode | TextNode;
      readonly right: NumericNode | TextNode;
    }
  | { readonly by: "truth"; readonly left: ConditionNode; readonly right: ConditionNode }
  | {
      readonly by: "text";
      readonly left: PropertyNode | TextNode;
      readonly right: PropertyNode | TextNode;
    };

/** How `>` and its like compare. */
export type OrderOperator = "<" | "<=" | ">" | ">=";

/** What is looked for in a text, and where. */
export type MatchOperator = "CONTAINS" | "STARTSWITH" | "ENDSWITH";

/** What is true, false or unknown by itself. */
export type ConditionNode =
  | PropertyNode
  /** TRUE, FALSE, NULL. */
  | (At & { readonly kind: "truth"; readonly truth: Truth })
  | (At & { readonly kind: "and" | "or"; readonly parts: readonly ConditionNode[] })
  | (At & { readonly kind: "not"; readonly part: ConditionNode })
  | (At & { readonly kind: "equal"; readonly isNegated: boolean; readonly equality: Equality })
  | (At & {
      readonly kind: "order";
      readonly operator: OrderOperator;
      readonly left: NumericNode;
      readonly right: NumericNode;
    })
  | (At & {
      readonly kind: "between";
      readonly isNegated: boolean;
      readonly value: NumericNode;
      readonly low: NumericNode;
      readonly high: NumericNode;
    })
  | (At & {
      readonly kind: "in";
      readonly isNegated: boolean;
      readonly value: PropertyNode | TextNode;
      readonly texts: ReadonlySet<string>;
    })
  | (At & {
      readonly kind: "match";
      readonly operator: MatchOperator;
      readonly isNegated: boolean;
      readonly value: PropertyNode | TextNode;
      readonly text: string;
    })
  | (At & { readonly kind: "isNull"; readonly isNegated: boolean; readonly value: SqlNode });

/** Any part of an expression. */
export type SqlNode = TextNode | NumberNode | SignNode | ConditionNode;
