// The command lines of the server programs: flags come from the configuration tables, with short names beside them.
// node:util parses them; yargs would take a fifth of the time that a start may take.
import { parseArgs } from "node:util";
import type { ConfigRole } from "../base/index.ts";

/** A server program as its user types it. */
export interface CommandLine<C> {
  readonly name: string;
  /** What comes after the name, one line a form. */
  readonly usage: readonly string[];
  readonly summary: string;
  readonly role: ConfigRole<C>;
  /** Further names of keys; those of one letter are written with one dash. */
  readonly shortcuts: Readonly<Record<string, keyof C & string>>;
  /** Addresses of the `ready` line in order, for the help. */
  readonly readyAddresses: readonly string[];
}

/** What the user wants. */
export type CommandRequest =
  | { readonly kind: "help" }
  | { readonly kind: "version" }
  | {
      readonly kind: "run" | "print";
      /** Values by key, as written. */
      readonly flags: Readonly<Record<string, string>>;
      readonly configFile: string | undefined;
    };

/** The command line makes no sense; `message` says why. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const ownFlags = {
  configFile: { type: "string", short: "c" },
  printConfigItem: { type: "boolean", short: "p" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "v" },
} as const;

/** Reads the arguments (without node and script). Throws UsageError. */
export function parseCommandLine<C>(
  command: CommandLine<C>,
  argv: readonly string[],
): CommandRequest {
  const { values, positionals } = parse(command, argv);
  if (values["help"] === true) return { kind: "help" };
  if (values["version"] === true) return { kind: "version" };
  if (positionals.length > 0) throw new UsageError(`unexpected argument ${positionals[0]}`);
  const flags: Record<string, string> = {};
  const writtenAs = new Map<string, string>();
  for (const [flag, value] of Object.entries(values)) {
    if (flag in ownFlags || typeof value !== "string") continue;
    const key = command.shortcuts[flag] ?? flag;
    const other = writtenAs.get(key);
    if (other !== undefined)
      throw new UsageError(`--${other} and --${flag} are the same; give one`);
    writtenAs.set(key, flag);
    flags[key] = value;
  }
  const configFile = values["configFile"];
  return {
    kind: values["printConfigItem"] === true ? "print" : "run",
    flags,
    configFile: typeof configFile === "string" ? configFile : undefined,
  };
}

function parse<C>(
  command: CommandLine<C>,
  argv: readonly string[],
): { values: Record<string, unknown>; positionals: string[] } {
  const options: Record<string, { type: "string" | "boolean"; short?: string }> = { ...ownFlags };
  for (const key of Object.keys(command.role.keys)) options[key] = { type: "string" };
  for (const [name, key] of Object.entries(command.shortcuts)) {
    if (name.length > 1) options[name] = { type: "string" };
    else options[key] = { type: "string", short: name };
  }
  const args = withBooleanValues(command, argv);
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: true });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const unknown = /^Unknown option '([^']+)'/.exec(message)?.[1];
    if (unknown !== undefined) throw new UsageError(`unknown flag ${unknown}`, { cause: error });
    throw new UsageError(message.split("\n", 1)[0] ?? message, { cause: error });
  }
}

/** `--ephemeral` alone means true; a boolean may also be given as `--key false` or `--key=false`. */
function withBooleanValues<C>(command: CommandLine<C>, argv: readonly string[]): string[] {
  const keys: Readonly<Record<string, { readonly kind: string }>> = command.role.keys;
  return argv.map((argument, index) => {
    if (!argument.startsWith("--")) return argument;
    const key = command.shortcuts[argument.slice(2)] ?? argument.slice(2);
    const isBoolean = Object.hasOwn(keys, key) && keys[key]?.kind === "boolean";
    const given = /^(?:true|false)$/i.test(argv[index + 1] ?? "");
    return isBoolean && !given ? `${argument}=true` : argument;
  });
}

const lineWidth = 100;
const indent = 6;

/** The text of --help. */
export function helpText<C>(command: CommandLine<C>): string {
  const lines = command.usage.map((form, index) =>
    `${index === 0 ? "Usage: " : "       "}${command.name} ${form}`.trimEnd(),
  );
  lines.push("", ...wrap(command.summary, 0), "", "Flags:");
  lines.push("  -c, --configFile FILE", ...wrap("Read keys from a file of `key = value` lines."));
  lines.push("  -p, --printConfigItem", ...wrap("Print the configuration and exit."));
  lines.push("  -h, --help", "  -v, --version", "");
  lines.push(
    "Keys, each as --KEY VALUE, as COMETMQ_KEY in the environment, or as KEY = VALUE in the file",
  );
  lines.push("(the first of these wins):");
  for (const key of keysOf(command)) {
    const row = command.role.keys[key];
    const names = Object.entries(command.shortcuts).filter(([, target]) => target === key);
    const flags = [
      ...names.map(([name]) => (name.length === 1 ? `-${name}` : `--${name}`)),
      `--${key}`,
    ];
    const unit = row.unit === "" || row.unit === "bytes" ? "" : `, plain numbers in ${row.unit}`;
    lines.push(`  ${flags.join(", ")}`);
    lines.push(...wrap(row.meaning), ...wrap(`Allowed: ${row.allowed}${unit}.`));
    lines.push(...wrap(`Default: ${row.defaultText === "" ? "none" : row.defaultText}.`));
  }
  const addresses = command.readyAddresses.map((name) => `${name}=HOST:PORT`).join(" ");
  lines.push(
    "",
    ...wrap(
      "As soon as calls are taken, one line on standard output says so and names the addresses; the log goes to standard error:",
      0,
    ),
    `  ready ${addresses} pid=PID`,
    "",
    ...wrap(
      "Ctrl-C or SIGTERM drains and closes within 5 seconds, a second one ends at once. Exit codes: 0 stopped as asked, 1 failed, 2 wrong flags or configuration.",
      0,
    ),
  );
  return `${lines.join("\n")}\n`;
}

function keysOf<C>(command: CommandLine<C>): (keyof C & string)[] {
  // The table has exactly the keys of C: its type says so.
  return Object.keys(command.role.keys) as (keyof C & string)[];
}

function wrap(text: string, by = indent): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && by + line.length + 1 + word.length > lineWidth) {
      lines.push(" ".repeat(by) + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, " ".repeat(by) + line];
}
