// The life of a server process: command line, configuration, log, start, signals, end. Every program of ours
// starts here, so that they all behave the same.
import { readFileSync } from "node:fs";
import {
  Configuration,
  errorTable,
  MqError,
  onBackgroundFailure,
  openLogger,
  type ProcessConfig,
  type RootLogger,
  softwareVersion,
  systemClock,
} from "../base/index.ts";
import {
  type CommandLine,
  type CommandRequest,
  helpText,
  parseCommandLine,
  UsageError,
} from "./command-line.ts";

/** A server that runs. */
export interface Running {
  /** Addresses for the `ready` line, in order. */
  readonly addresses: Readonly<Record<string, string>>;
  /** Lines for a person after the `ready` line. */
  readonly hints?: readonly string[];
  /** Drains and closes. */
  close(): Promise<void>;
}

/** A server program. */
export interface Program<C extends ProcessConfig> extends CommandLine<C> {
  /** Replaces values before anything starts. Throws BAD_CONFIG on conflicts. */
  adjust?(configuration: Configuration<C>): Configuration<C>;
  /** Starts the server. */
  start(configuration: Configuration<C>, logger: RootLogger): Promise<Running>;
  /** Last words when the process ends in whatever way short of SIGKILL; must be synchronous. */
  atExit?(): void;
}

const exitCode = { stopped: 0, failed: 1, usage: 2 } as const;
const closeMaxMs = 4_500;
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
const signalNumbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Runs a program with `argv` (without node and script) until it is told to stop. Ends the process. */
export async function runProgram<C extends ProcessConfig>(
  program: Program<C>,
  argv: readonly string[],
): Promise<void> {
  const request = readRequest(program, argv);
  if (request.kind === "help") return end(helpText(program));
  if (request.kind === "version") return end(`${program.name} ${softwareVersion}\n`);
  const configuration = configure(program, request);
  if (request.kind === "print") {
    const lines = configuration.entries().map((row) => `${row.key} = ${row.value}\n`);
    return end(lines.join(""));
  }
  const logger = await openLogger({
    level: configuration.values.logLevel,
    json: configuration.values.logFormat === "json",
  });
  configuration.onChange(() => logger.setLevel(configuration.values.logLevel));
  for (const warning of configuration.warnings) logger.warn(warning);
  await live(program, configuration, logger);
}

function readRequest<C extends ProcessConfig>(
  program: Program<C>,
  argv: readonly string[],
): CommandRequest {
  let request: CommandRequest;
  try {
    request = parseCommandLine(program, argv);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`${program.name}: ${error.message}; see ${program.name} --help\n`);
    process.exit(exitCode.usage);
  }
  return request;
}

function configure<C extends ProcessConfig>(
  program: Program<C>,
  request: Extract<CommandRequest, { kind: "run" | "print" }>,
): Configuration<C> {
  let configuration: Configuration<C>;
  try {
    const { flags, configFile } = request;
    configuration = Configuration.load(program.role, {
      flags,
      environment: process.env,
      ...(configFile === undefined ? {} : { file: readFile(configFile) }),
    });
    if (program.adjust !== undefined && request.kind === "run") {
      configuration = program.adjust(configuration);
    }
  } catch (error) {
    if (!(error instanceof MqError)) throw error;
    process.stderr.write(`${program.name}: ${error.message}\n`);
    process.exit(exitCode.usage);
  }
  return configuration;
}

function readFile(name: string): { name: string; text: string } {
  try {
    return { name, text: readFileSync(name, "utf8") };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MqError("BAD_CONFIG", `cannot read the configuration file: ${reason}`, {
      cause: error,
    });
  }
}

async function live<C extends ProcessConfig>(
  program: Program<C>,
  configuration: Configuration<C>,
  logger: RootLogger,
): Promise<void> {
  process.on("exit", () => program.atExit?.());
  const fail = (error: unknown): void => {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    logger.error("a bug or an unforeseen failure ends this process", { stack });
    process.exit(exitCode.failed);
  };
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  onBackgroundFailure(fail);
  // A reader of the output that went away must not take the server with it.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  const stopped = firstSignal(logger);
  const starting = program.start(configuration, logger);
  let running: Running;
  try {
    running = await starting;
  } catch (error) {
    const { message, code, action } = describe(error);
    logger.error(`cannot start: ${message}`, { code, action });
    process.exit(exitCode.failed);
  }
  process.stdout.write(readyLine(running));
  for (const hint of running.hints ?? []) process.stdout.write(`${hint}\n`);
  await stopped;
  await stop(running, logger);
}

/** The line that scripts wait for: `ready name=host:port … pid=…`. */
function readyLine(running: Running): string {
  const parts = Object.entries(running.addresses).map(([name, address]) => `${name}=${address}`);
  return `ready ${parts.join(" ")} pid=${process.pid}\n`;
}

function firstSignal(logger: RootLogger): Promise<void> {
  return new Promise((resolve) => {
    let seen = false;
    for (const signal of signals) {
      process.on(signal, () => {
        if (seen) process.exit(128 + signalNumbers[signal]);
        seen = true;
        logger.info("stopping", { signal });
        resolve();
      });
    }
  });
}

async function stop(running: Running, logger: RootLogger): Promise<void> {
  systemClock.after(
    closeMaxMs,
    () => {
      logger.error("closing takes too long: ending now; the log is recovered at the next start");
      process.exit(exitCode.failed);
    },
    { unref: true },
  );
  try {
    await running.close();
  } catch (error) {
    logger.error(`closing failed: ${describe(error).message}`);
    process.exit(exitCode.failed);
  }
  logger.info("stopped");
  process.exit(exitCode.stopped);
}

function describe(error: unknown): {
  message: string;
  code: string | undefined;
  action: string | undefined;
} {
  if (error instanceof MqError) {
    const action = portTaken(error)
      ? "Stop the process that listens there, or choose another port; 0 is any free one."
      : errorTable[error.code].action;
    return { message: error.message, code: error.code, action };
  }
  if (!(error instanceof Error))
    return { message: String(error), code: undefined, action: undefined };
  // What the operating system refuses says enough without the stack.
  const isSystem = "syscall" in error;
  const message = isSystem ? error.message : (error.stack ?? error.message);
  return { message, code: undefined, action: undefined };
}

function portTaken(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ("code" in error && error.code === "EADDRINUSE") || portTaken(error.cause);
}

function end(text: string): void {
  process.stdout.write(text);
}
