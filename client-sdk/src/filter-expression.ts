// Which messages of a topic a consumer wants.

/** Values of `apache.rocketmq.v2.FilterType`. */
export const FilterType = { TAG: 1, SQL: 2 } as const;

/** A filter: tags joined by `||`, `*` for all, or an SQL92 condition over properties. */
export class FilterExpression {
  /** Every message. */
  static readonly SUB_ALL: FilterExpression = new FilterExpression("*");

  readonly expression: string;
  /** A value of `FilterType`. */
  readonly filterType: number;

  constructor(expression: string, filterType: number = FilterType.TAG) {
    this.expression = expression;
    this.filterType = filterType;
  }
}
