// What a command is: a name, its flags, and a function from flags to an answer.
import type { Flags } from "./flags.ts";
import type { Session } from "./session.ts";

/** One flag of a command. Short names are RocketMQ's. */
export interface FlagSpec {
  readonly short?: string;
  readonly type: "string" | "number" | "boolean";
  readonly about: string;
  readonly required?: boolean;
  /** Placeholder in the help, e.g. HOST:PORT. */
  readonly value?: string;
}

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

/** One command of mqadmin. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly flags: Readonly<Record<string, FlagSpec>>;
  run(flags: Flags, session: Session): Promise<Answer>;
}

/** Flags that name the brokers a command is for: one by address, or all masters of a cluster. */
export const targetFlags: Readonly<Record<string, FlagSpec>> = {
  brokerAddr: { short: "b", type: "string", value: "HOST:PORT", about: "only this broker" },
  clusterName: { short: "c", type: "string", value: "NAME", about: "all masters of this cluster" },
};

/** The `-t` flag. */
export const topicFlag: Readonly<Record<string, FlagSpec>> = {
  topic: { short: "t", type: "string", value: "TOPIC", about: "topic name", required: true },
};

/** The `-g` flag, required. */
export const groupFlag: Readonly<Record<string, FlagSpec>> = {
  groupName: {
    short: "g",
    type: "string",
    value: "GROUP",
    about: "consumer group",
    required: true,
  },
};
