// What a command is: a name, its flags, and a function from flags to an answer.
import type { Answer } from "./answer.ts";
import type { Flags } from "./flags.ts";
import type { Session } from "./session.ts";

/** One flag of a command. Short names are RocketMQ's. */
export interface FlagSpec {
  /** Written with one dash, also when it has two letters: `-b`, `-bn`. */
  readonly short?: string;
  readonly type: "string" | "boolean";
  readonly about: string;
  readonly required?: boolean;
  /** Placeholder in the help, e.g. HOST:PORT. */
  readonly value?: string;
}

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

/** `-i`: main repeats a command that has it, so many seconds after each answer. */
export const intervalFlag: Readonly<Record<string, FlagSpec>> = {
  interval: {
    short: "i",
    type: "string",
    value: "SECONDS",
    about: "ask again so long after each answer, until Ctrl-C",
  },
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
