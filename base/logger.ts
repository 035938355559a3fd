// The process log: winston, one line an event, human or JSON, level changeable while running.
// Never a secret, never a line per message.
import type * as Winston from "winston";

/** Levels from quiet to loud. */
export const logLevels = ["error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Facts of an event: flat, printable, no secrets. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Where one part of the server tells what happened. */
export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  /** A logger whose lines carry `component`. */
  child(component: string): Logger;
}

/** The root of a process's loggers. */
export interface RootLogger extends Logger {
  /** Changes the level from the next line on. */
  setLevel(level: LogLevel): void;
}

/** A logger that drops everything, for tests. */
export const silentLogger: Logger = {
  error: () => {},
  warn: () => {},
  info: () => {},
  debug: () => {},
  child: () => silentLogger,
};

const ownKeys = new Set(["level", "message", "timestamp", "component"]);

function printable(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function humanLine(entry: Winston.Logform.TransformableInfo): string {
  let line = `${printable(entry["timestamp"])} ${entry.level.toUpperCase().padEnd(5)} `;
  if (entry["component"] !== undefined) line += `[${printable(entry["component"])}] `;
  line += printable(entry.message).replace(/\r?\n/g, "\\n");
  for (const [key, value] of Object.entries(entry)) {
    if (ownKeys.has(key) || value === undefined) continue;
    const text = printable(value);
    line += ` ${key}=${/[\s"=]/.test(text) ? JSON.stringify(text) : text}`;
  }
  return line;
}

/**
 * Opens the process log on standard error. `json` gives one JSON object a line. Winston is loaded here, so that what
 * logs nothing (tests, --help, mqadmin) does not wait for it.
 */
export async function openLogger(options: {
  readonly level: LogLevel;
  readonly json: boolean;
}): Promise<RootLogger> {
  const { default: winston } = await import("winston");
  const { combine, json, printf, timestamp } = winston.format;
  const root = winston.createLogger({
    level: options.level,
    format: combine(timestamp(), options.json ? json() : printf(humanLine)),
    transports: [new winston.transports.Console({ stderrLevels: [...logLevels] })],
  });
  return Object.assign(wrap(root), {
    setLevel: (level: LogLevel): void => {
      root.level = level;
    },
  });
}

function wrap(target: Winston.Logger): Logger {
  return {
    error: (message, fields) => void target.error(message, fields),
    warn: (message, fields) => void target.warn(message, fields),
    info: (message, fields) => void target.info(message, fields),
    debug: (message, fields) => void target.debug(message, fields),
    child: (component) => wrap(target.child({ component })),
  };
}
