// The mqadmin program: finds the command, reads its flags, prints its answer.
// Exit codes: 0 done, 1 failed, 2 the command line makes no sense.
import yargs, { type Argv, type Options } from "yargs";
import { Connections } from "./call.ts";
import type { Command, FlagSpec } from "./command.ts";
import * as commands from "./commands/index.ts";
import { CommandFailure, PartialFailure, UsageFailure } from "./failure.ts";
import { Flags } from "./flags.ts";
import { render } from "./printing.ts";
import { checkAddress, Session } from "./session.ts";

const defaultNameServer = "127.0.0.1:9876";
const defaultTimeoutMs = 5000;
const usageExitCode = 2;

/** Runs mqadmin with `args` (without node and script); resolves with the exit code. */
export async function runMqadmin(args: readonly string[], version: string): Promise<number> {
  let exitCode = 0;
  const parser = globalOptions(yargs(longNames(withoutHelpWord(args)))).version(version);
  for (const command of Object.values(commands)) {
    parser.command(
      command.name,
      command.summary,
      (builder) => builder.options(optionsOf(command)),
      async (argv) => {
        exitCode = await run(command, new Flags(argv));
      },
    );
  }
  try {
    await parser.parseAsync();
  } catch (error) {
    exitCode = report(error);
  }
  return exitCode;
}

/** RocketMQ's `mqadmin help COMMAND` is `mqadmin COMMAND --help`. */
function withoutHelpWord(args: readonly string[]): string[] {
  return args[0] === "help" ? [...args.slice(1), "--help"] : [...args];
}

/** yargs reads `-bn x` as `-b -n x`; RocketMQ has flags of two letters and one dash. */
function longNames(args: readonly string[]): string[] {
  const command = Object.values(commands).find(({ name }) => args.includes(name));
  const written = Object.values(command?.flags ?? {})
    .map(({ short }) => `-${short ?? ""}`)
    .filter((flag) => flag.length > 2);
  return args.map((arg) => (written.includes(arg.split("=", 1)[0] ?? "") ? `-${arg}` : arg));
}

function globalOptions(parser: Argv): Argv {
  return parser
    .scriptName("mqadmin")
    .usage("$0 COMMAND [FLAGS]\n\nAdministers CometMQ clusters with RocketMQ's commands and flags.")
    .options({
      namesrvAddr: {
        alias: "n",
        type: "string",
        describe: `NameServers, HOST:PORT[;HOST:PORT] (else NAMESRV_ADDR, else ${defaultNameServer})`,
        global: true,
      },
      json: { type: "boolean", describe: "print JSON for scripts", global: true },
      timeout: {
        type: "string",
        describe: `deadline of each call, ms (${defaultTimeoutMs})`,
        global: true,
      },
    })
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
      throw error ?? new UsageFailure(message);
    });
}

function optionsOf(command: Command): Record<string, Options> {
  return Object.fromEntries(
    Object.entries(command.flags).map(([name, flag]) => [name, optionOf(flag)]),
  );
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
  const connections = new Connections(timeoutMs);
  const json = flags.bool("json") ?? false;
  try {
    const answer = await command.run(flags, new Session(nameServers(flags), connections));
    process.stdout.write(render(answer, json));
    return 0;
  } catch (error) {
    if (error instanceof PartialFailure) process.stdout.write(render(error.answer, json));
    return report(error, command.name);
  } finally {
    connections.close();
  }
}

function nameServers(flags: Flags): string[] {
  const written = flags.text("namesrvAddr") ?? process.env["NAMESRV_ADDR"] ?? defaultNameServer;
  const addresses = written.split(/[;,]/).map((address) => address.trim());
  return addresses
    .filter((address) => address !== "")
    .map((address) => checkAddress(address, "--namesrvAddr"));
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
