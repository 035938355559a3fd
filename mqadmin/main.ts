// The mqadmin program: finds the command, reads its flags, prints its answer.
// Exit codes: 0 done, 1 failed, 2 the command line makes no sense.
import type { Command, FlagSpec } from "./command.ts";
import { readCommand, readFlags } from "./command-line.ts";
import { commands } from "./commands/index.ts";
import { CommandFailure, PartialFailure, UsageFailure } from "./failure.ts";
import type { Flags } from "./flags.ts";
import { commandHelp, completionScript, programHelp } from "./help.ts";
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
  try {
    const wanted = readCommand(args, Object.keys(commands));
    if (wanted.kind === "run") return await run(wanted.command, wanted.args);
    process.stdout.write(wanted.kind === "version" ? `${version}\n` : await aboutItself(wanted));
    return 0;
  } catch (error) {
    return report(error);
  }
}

async function aboutItself(wanted: {
  readonly kind: "help" | "completion";
  readonly command?: string | undefined;
}): Promise<string> {
  if (wanted.kind === "completion") return completionScript(await allCommands(), globalFlags);
  const command = await commands[wanted.command ?? ""]?.();
  if (command !== undefined) return commandHelp(command, globalFlags);
  return programHelp(await allCommands(), globalFlags);
}

function allCommands(): Promise<Command[]> {
  return Promise.all(Object.values(commands).map((load) => load()));
}

async function run(name: string, args: readonly string[]): Promise<number> {
  let exitCode = 0;
  try {
    const command = await commands[name]?.();
    if (command === undefined) return usageExitCode;
    const flags = readFlags(args, command, globalFlags);
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
    return report(error, name);
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
