// The command line as RocketMQ's users type it, made such as yargs reads it.
import type { Command, FlagSpec } from "./command.ts";

/** The command of `names` that `args` name, if any. */
export function commandOf(args: readonly string[], names: readonly string[]): string | undefined {
  return args.find((word) => names.includes(word));
}

/** RocketMQ's `mqadmin help COMMAND` is `mqadmin COMMAND --help`. */
export function withoutHelpWord(args: readonly string[]): string[] {
  return args[0] === "help" ? [...args.slice(1), "--help"] : [...args];
}

/**
 * The words of one command line with the two things written out that yargs reads otherwise: `-bn x` is one flag of two
 * letters there, not `-b -n x`; and a value may begin with a dash, as `-a -consume.from` does, unless it is itself a flag
 * of the command.
 */
export function writtenOut(
  args: readonly string[],
  command: Pick<Command, "flags">,
  globals: Readonly<Record<string, FlagSpec>>,
): string[] {
  const names = new Map<string, { readonly long: string; readonly spec: FlagSpec }>();
  for (const [name, spec] of Object.entries({ ...globals, ...command.flags })) {
    names.set(`--${name}`, { long: `--${name}`, spec });
    if (spec.short !== undefined) names.set(`-${spec.short}`, { long: `--${name}`, spec });
  }
  const words: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? "";
    const [written = ""] = word.split("=", 1);
    const flag = names.get(written);
    if (flag === undefined) {
      words.push(word);
      continue;
    }
    const long = flag.long + word.slice(written.length);
    const next = args[at + 1];
    const isValue = next?.startsWith("-") === true && !names.has(next.split("=", 1)[0] ?? "");
    if (flag.spec.type === "string" && long === flag.long && isValue) {
      words.push(`${long}=${next}`);
      at += 1;
    } else words.push(long);
  }
  return words;
}
