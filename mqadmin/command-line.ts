// Reads a command line as RocketMQ's users type it: one command, flags with one dash (also of two letters) or two. A value
// may begin with a dash, as `-a -consume.from` does, unless it is itself a flag of the command.
import type { Command, FlagSpec } from "./command.ts";
import { UsageFailure } from "./failure.ts";
import { Flags, type FlagValue } from "./flags.ts";

/** What the user wants. */
export type CommandLine =
  | { readonly kind: "help"; readonly command: string | undefined }
  | { readonly kind: "version" }
  | { readonly kind: "completion" }
  | { readonly kind: "run"; readonly command: string; readonly args: readonly string[] };

/** Finds the command in `args`; its flags are read by `readFlags`. Throws UsageFailure when there is none of `names`. */
export function readCommand(args: readonly string[], names: readonly string[]): CommandLine {
  const words = args[0] === "help" ? args.slice(1) : args;
  const at = words.findIndex((word) => names.includes(word));
  const command = words[at];
  if (words !== args || words.includes("--help") || words.includes("-h")) {
    const unknown = words.find((word) => !word.startsWith("-"));
    if (command === undefined && unknown !== undefined) throw unknownCommand(unknown, names);
    return { kind: "help", command };
  }
  if (command !== undefined) {
    return { kind: "run", command, args: [...words.slice(0, at), ...words.slice(at + 1)] };
  }
  if (words.includes("--version")) return { kind: "version" };
  const [unknown] = words.filter((word) => !word.startsWith("-"));
  if (unknown === "completion") return { kind: "completion" };
  if (unknown === undefined) throw new UsageFailure("Name a command; mqadmin --help lists them.");
  throw unknownCommand(unknown, names);
}

/** Reads the flags of `command` and those that all commands have. Throws UsageFailure naming what is wrong. */
export function readFlags(
  args: readonly string[],
  command: Pick<Command, "flags">,
  globals: Readonly<Record<string, FlagSpec>>,
): Flags {
  const specs = { ...globals, ...command.flags };
  const names = new Map<string, string>();
  for (const [name, { short }] of Object.entries(specs)) {
    names.set(`--${name}`, name);
    if (short !== undefined) names.set(`-${short}`, name);
  }
  const values: Record<string, FlagValue | FlagValue[]> = {};
  const rest = [...args];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    const equals = word.startsWith("-") ? word.indexOf("=") : -1;
    const written = equals < 0 ? word : word.slice(0, equals);
    const name = names.get(written);
    if (name === undefined) throw unknownFlag(word, [...names.keys()]);
    const isBoolean = specs[name]?.type === "boolean";
    const own = equals < 0 ? undefined : word.slice(equals + 1);
    const value = own ?? takeValue(rest, { isBoolean, names, written });
    const known = values[name];
    values[name] = known === undefined ? value : [known, value].flat();
  }
  const missing = Object.keys(specs).filter(
    (name) => specs[name]?.required === true && values[name] === undefined,
  );
  if (missing.length > 0) {
    const s = missing.length > 1 ? "s" : "";
    throw new UsageFailure(`Missing required argument${s}: ${missing.join(", ")}`);
  }
  return new Flags(values);
}

function takeValue(
  rest: string[],
  flag: {
    readonly isBoolean: boolean;
    readonly names: ReadonlyMap<string, string>;
    readonly written: string;
  },
): FlagValue {
  const next = rest[0];
  if (flag.isBoolean) {
    if (!/^(true|false)$/i.test(next ?? "")) return true;
  } else if (next === undefined || flag.names.has(next)) {
    throw new UsageFailure(`Not enough arguments following: ${flag.written.replace(/^-+/, "")}`);
  }
  return rest.shift() ?? true;
}

function unknownCommand(word: string, names: readonly string[]): UsageFailure {
  return new UsageFailure(`Unknown argument: ${word}${suggestion(word, names)}`);
}

function unknownFlag(word: string, flags: readonly string[]): UsageFailure {
  const hint = word.startsWith("--") ? suggestion(word, flags) : "";
  return new UsageFailure(`Unknown argument: ${word.replace(/^-+/, "")}${hint}`);
}

const mistakesMax = 3;

function suggestion(word: string, names: readonly string[]): string {
  const [nearest] = names
    .map((name) => ({ name, distance: editDistance(word.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= mistakesMax && distance < name.length / 2)
    .toSorted((a, b) => a.distance - b.distance);
  return nearest === undefined ? "" : `. Did you mean ${nearest.name}?`;
}

/** Letters to insert, remove or replace. */
function editDistance(a: string, b: string): number {
  let before = Array.from({ length: b.length + 1 }, (_unused, index) => index);
  for (const [row, letter] of Array.from(a).entries()) {
    const now = [row + 1];
    for (const [column, other] of Array.from(b).entries()) {
      const kept = (before[column] ?? 0) + (letter === other ? 0 : 1);
      now.push(Math.min(kept, (before[column + 1] ?? 0) + 1, (now[column] ?? 0) + 1));
    }
    before = now;
  }
  return before.at(-1) ?? 0;
}
