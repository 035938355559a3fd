// What mqadmin says of itself: its commands, the flags of one, and a script that completes both in a shell.
import type { Command, FlagSpec } from "./command.ts";

const widthMax = 110;

/** All commands, and the flags that each of them has. */
export function programHelp(
  commands: readonly Command[],
  globals: Readonly<Record<string, FlagSpec>>,
): string {
  return lines(
    "mqadmin COMMAND [FLAGS]",
    "",
    "Administers CometMQ clusters with RocketMQ's commands and flags.",
    "",
    "Commands:",
    ...columns([
      ...commands.map(({ name, summary }) => [name, summary] as const),
      ["completion", "print a completion script for bash or zsh"],
    ]),
    "",
    "Flags of all commands:",
    ...flagRows({ ...globals, ...ownFlags }),
  );
}

/** One command. */
export function commandHelp(
  { name, summary, flags }: Command,
  globals: Readonly<Record<string, FlagSpec>>,
): string {
  return lines(
    `mqadmin ${name} [FLAGS]`,
    "",
    summary,
    "",
    "Flags:",
    ...flagRows({ ...flags, ...globals, ...ownFlags }),
  );
}

const ownFlags: Readonly<Record<string, FlagSpec>> = {
  help: { short: "h", type: "boolean", about: "show this" },
  version: { type: "boolean", about: "show the version" },
};

/** For `source <(mqadmin completion)`. */
export function completionScript(
  commands: readonly Command[],
  globals: Readonly<Record<string, FlagSpec>>,
): string {
  const flagsOf = (flags: Readonly<Record<string, FlagSpec>>): string =>
    Object.keys({ ...flags, ...globals, ...ownFlags })
      .map((name) => `--${name}`)
      .join(" ");
  const names = commands.map(({ name }) => name).join(" ");
  return lines(
    "# Completes mqadmin in bash and zsh: source <(mqadmin completion)",
    '[ -n "$ZSH_VERSION" ] && autoload -U +X bashcompinit && bashcompinit',
    "_mqadmin() {",
    '  local word="${COMP_WORDS[COMP_CWORD]}" flags=""',
    '  case " ${COMP_WORDS[*]} " in',
    ...commands.map(({ name, flags }) => `    *" ${name} "*) flags="${flagsOf(flags)}" ;;`),
    "  esac",
    `  COMPREPLY=($(compgen -W "\${flags:-${names} completion help}" -- "$word"))`,
    "}",
    "complete -o default -F _mqadmin mqadmin",
  );
}

function flagRows(flags: Readonly<Record<string, FlagSpec>>): string[] {
  return columns(
    Object.entries(flags).map(([name, { short, value, type, about, required }]) => {
      const shortest = short === undefined ? "    " : `-${short}, `.padEnd(4);
      const shown = type === "boolean" ? "" : ` ${value ?? "VALUE"}`;
      const about2 = required === true ? `${about} [required]` : about;
      return [`${shortest}--${name}${shown}`, about2] as const;
    }),
  );
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const first = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.flatMap(([left, right]) => {
    const [head = "", ...more] = wrapped(right, Math.max(30, widthMax - first - 2));
    const indent = " ".repeat(first + 2);
    return [`  ${left.padEnd(first)}${head}`, ...more.map((line) => indent + line)];
  });
}

function wrapped(text: string, width: number): string[] {
  const found: string[] = [];
  for (const word of text.split(" ")) {
    const last = found.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) found.push(word);
    else found[found.length - 1] = `${last} ${word}`;
  }
  return found;
}

function lines(...all: readonly string[]): string {
  return `${all.join("\n")}\n`;
}
