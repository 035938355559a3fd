// The mqadmin program: finds the command, reads its flags, prints its answer.
// Exit codes: 0 done, 1 failed, 2 the command line makes no sense.
import yargs, { type Argv, type Options } from "yargs";
import type { Command, FlagSpec } from "./command.ts";
import { commandOf, withoutHelpWord, writtenOut } from "./command-line.ts";
import { commands } from "./commands/index.ts";
import { CommandFailure, PartialFailure, UsageFailure } from "./failure.ts";
import { Flags } from "./flags.ts";
import { render } from "./printing.ts";

const defaultNameServer = "127.0.0.1:9876";
const defaultTimeoutMs = 5000;
const usageExitCode = 2;

const globalFlags: Readonly<Record<string, FlagSpec>> = {
  namesrvAddr: {
    short: "n",
    type: "string",
    value: "HOST:PORT[;HOST:PORT]",
    about: `NameServers (else NAMESRV_ADDR, else ${defaultNameServer})`,
  },
  json: { type: "boolean", about: "print JSON for scripts" },
  timeout: {
    type: "string",
    value: "MS",
    about: `deadline of each call, ms (${defaultTimeoutMs})`,
  },
};

/** Runs mqadmin with `args` (without node and script); resolves with the exit code. */
export async function runMqadmin(args: readonly string[], version: string): Promise<number> {
  let exitCode = 0;
  try {
    const asked = withoutHelpWord(args);
    const wanted = await wantedCommands(asked);
    const [only] = wanted;
    const words = wanted.length === 1 && only ? writtenOut(asked, only, globalFlags) : asked;
    const parser = globalOptions(yargs(words), strangeCommand(asked, wanted)).version(version);
    for (const command of wanted) {
      parser.command(
        command.name,
        command.summary,
        (builder) => builder.options(optionsOf(command.flags)),
        async (argv) => {
          exitCode = await run(command, new Flags(argv));
        },
      );
    }
    await parser.parseAsync();
  } catch (error) {
    exitCode = report(error);
  }
  return exitCode;
}

/** The command that is asked for, alone: to load all takes a while. All of them when none is asked for. */
async function wantedCommands(args: readonly string[]): Promise<readonly Command[]> {
  const name = commandOf(args, Object.keys(commands));
  const loaders = Object.entries(commands).filter(
    ([known]) => name === undefined || known === name,
  );
  return await Promise.all(loaders.map(([, load]) => load()));
}

/** The word that stands where a command does, and is none. */
function strangeCommand(
  [first = ""]: readonly string[],
  wanted: readonly Command[],
): string | undefined {
  return wanted.length === 1 || first === "" || first.startsWith("-") ? undefined : first;
}

/** `strange`: what is typed for a command and is none. Without it, unknown flags would be blamed too. */
function globalOptions(parser: Argv, strange: string | undefined): Argv {
  return parser
    .scriptName("mqadmin")
    .usage("$0 COMMAND [FLAGS]\n\nAdministers CometMQ clusters with RocketMQ's commands and flags.")
    .options(optionsOf(globalFlags))
    .parserConfiguration({
      "parse-numbers": false,
      "parse-positional-numbers": false,
      "camel-case-expansion": false,
    })
    .demandCommand(1, "Name a command; mqadmin --help lists them.")
    .strict()
    .recommendCommands()
    .help("help")
    .alias("h", "help")
    .completion("completion", "print a completion script for bash or zsh")
    .exitProcess(false)
    .wrap(Math.min(110, process.stdout.columns ?? 110))
    .fail((message, error) => {
      const isUnknown = strange !== undefined && message?.startsWith("Unknown argument");
      throw error ?? new UsageFailure(isUnknown ? `there is no command ${strange}` : message);
    });
}

function optionsOf(flags: Readonly<Record<string, FlagSpec>>): Record<string, Options> {
  return Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, optionOf(flag)]));
}

function optionOf(flag: FlagSpec): Options {
  return {
    ...(flag.short === undefined ? {} : { alias: flag.short }),
    type: flag.type,
    describe: flag.value === undefined ? flag.about : `${flag.value}: ${flag.about}`,
    demandOption: flag.required ?? false,
    requiresArg: flag.type !== "boolean",
  };
}

async function run(command: Command, flags: Flags): Promise<number> {
  let exitCode = 0;
  try {
    const timeoutMs = flags.int("timeout", { min: 1, max: 600_000 }) ?? defaultTimeoutMs;
    const intervalS =
      "interval" in command.flags ? flags.int("interval", { min: 1, max: 86_400 }) : undefined;
    for (;;) {
      exitCode = await runOnce(command, flags, timeoutMs);
      // A failure ends nothing here: who watches a cluster wants to see it come back.
      if (intervalS === undefined || exitCode === usageExitCode) return exitCode;
      await new Promise((resolve) => setTimeout(resolve, intervalS * 1000));
    }
  } catch (error) {
    return report(error, command.name);
  }
}

async function runOnce(command: Command, flags: Flags, timeoutMs: number): Promise<number> {
  // What talks to brokers takes longest to load, and help needs none of it.
  const { Connections } = await import("./call.ts");
  const { checkAddress, Session } = await import("./session.ts");
  const connections = new Connections(timeoutMs);
  const json = flags.bool("json") ?? false;
  try {
    const nameServers = writtenNameServers(flags).map((address) =>
      checkAddress(address, "--namesrvAddr"),
    );
    const answer = await command.run(flags, new Session(nameServers, connections));
    process.stdout.write(render(answer, json));
    return 0;
  } catch (error) {
    if (error instanceof PartialFailure) process.stdout.write(render(error.answer, json));
    return report(error, command.name);
  } finally {
    connections.close();
  }
}

function writtenNameServers(flags: Flags): string[] {
  const written = flags.text("namesrvAddr") ?? process.env["NAMESRV_ADDR"] ?? defaultNameServer;
  return written
    .split(/[;,]/)
    .map((address) => address.trim())
    .filter((address) => address !== "");
}

function report(error: unknown, command?: string): number {
  if (error instanceof UsageFailure) {
    const help = command === undefined ? "mqadmin --help" : `mqadmin ${command} --help`;
    process.stderr.write(`mqadmin: ${error.message}\nSee ${help}.\n`);
    return usageExitCode;
  }
  if (error instanceof CommandFailure) {
    process.stderr.write(`mqadmin: ${error.message}\n`);
    return 1;
  }
  throw error;
}
