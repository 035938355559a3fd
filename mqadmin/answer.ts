// What a command has to say.

/** A table for people, or lines, and always a value for scripts. */
export interface Answer {
  /** Printed by `--json`. */
  readonly json: unknown;
  readonly table?: { readonly columns: readonly string[]; readonly rows: readonly Row[] };
  /** Printed before the table. */
  readonly lines?: readonly string[];
}

/** One line of a table, as long as its columns. */
export type Row = readonly (string | number | boolean)[];
