// The kinds of configuration values: how each is written, checked and shown. A key states its default,
// unit, range and meaning here once; flags, files, environment, checks, --help and the docs follow from it.
import { homedir } from "node:os";
import { resolve } from "node:path";

/** Whether a new value counts at once or after a restart. */
export type ConfigChange = "restart" | "live";

/** What is shown in the place of a secret. */
export const hiddenText = "***";

/** One row of a configuration table. `T` is the type of the value in the loaded configuration. */
export interface ConfigKey<T> {
  readonly kind:
    | "string"
    | "path"
    | "int"
    | "boolean"
    | "enum"
    | "duration"
    | "size"
    | "addresses"
    | "hours";
  readonly default: T;
  /** How the default is described when it depends on the machine. */
  readonly defaultText: string;
  /** Unit of a plain number; empty when it has none. */
  readonly unit: string;
  /** What values are allowed, for messages, help and docs. */
  readonly allowed: string;
  readonly change: ConfigChange;
  readonly meaning: string;
  /** Its value is shown to nobody: not in print-outs, answers, messages or logs. */
  readonly isSecret: boolean;
  /** Reads a written value; `undefined` when it is not allowed. */
  parse(text: string): T | undefined;
  /** Writes a value so that `parse` reads the same again. */
  format(value: T): string;
}

/** What every kind of key states. */
export interface KeyOptions<T> {
  readonly default: T;
  readonly meaning: string;
  /** Default false. */
  readonly isSecret?: boolean;
  /** Default `restart`. */
  readonly change?: ConfigChange;
  readonly defaultText?: string;
}

interface RangeOptions extends KeyOptions<number> {
  /** Smallest allowed value, in the unit of the key. */
  readonly min: number;
  /** Largest allowed value, in the unit of the key. */
  readonly max: number;
}

function row<T>(
  options: KeyOptions<T>,
  rest: Pick<ConfigKey<T>, "kind" | "unit" | "allowed" | "parse" | "format">,
): ConfigKey<T> {
  return {
    ...rest,
    default: options.default,
    defaultText: options.defaultText ?? rest.format(options.default),
    change: options.change ?? "restart",
    meaning: options.meaning,
    isSecret: options.isSecret ?? false,
  };
}

function within(value: number, options: RangeOptions): number | undefined {
  return value >= options.min && value <= options.max ? value : undefined;
}

/** A piece of text. `pattern` must match all of it; `allowed` says so in words. */
export function text(
  options: KeyOptions<string> & { readonly pattern: RegExp; readonly allowed: string },
): ConfigKey<string> {
  return row(options, {
    kind: "string",
    unit: "",
    allowed: options.allowed,
    parse: (written) => (options.pattern.test(written) ? written : undefined),
    format: String,
  });
}

/** A file or folder. `~/` is the home folder; a relative path counts from the working folder. Empty stays empty. */
export function path(options: KeyOptions<string>): ConfigKey<string> {
  return row(options, {
    kind: "path",
    unit: "",
    allowed: "a path",
    parse: (written) => {
      if (written.includes("\0")) return undefined;
      if (written === "") return "";
      return resolve(written.replace(/^~(?=\/|$)/, homedir()));
    },
    format: String,
  });
}

/** A whole number in `[min, max]`. */
export function int(options: RangeOptions & { readonly unit?: string }): ConfigKey<number> {
  return row(options, {
    kind: "int",
    unit: options.unit ?? "",
    allowed: `a whole number from ${options.min} to ${options.max}`,
    parse: (written) =>
      /^-?\d{1,15}$/.test(written) ? within(Number(written), options) : undefined,
    format: String,
  });
}

/** true or false. */
export function boolean(options: KeyOptions<boolean>): ConfigKey<boolean> {
  return row(options, {
    kind: "boolean",
    unit: "",
    allowed: "true or false",
    parse: (written) => {
      const lower = written.toLowerCase();
      return lower === "true" || lower === "false" ? lower === "true" : undefined;
    },
    format: String,
  });
}

/** One of `values`, in any case. */
export function oneOf<T extends string>(
  options: KeyOptions<T> & { readonly values: readonly T[]; readonly note?: string },
): ConfigKey<T> {
  const note = options.note === undefined ? "" : ` (${options.note})`;
  return row(options, {
    kind: "enum",
    unit: "",
    allowed: `${options.values.join(", ")}${note}`,
    parse: (written) =>
      options.values.find((value) => value.toLowerCase() === written.toLowerCase()),
    format: String,
  });
}

const durationMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** A time span: a plain number counts in `unit`, a suffix ms, s, m, h or d may say otherwise. The value is in `unit`. */
export function duration(
  options: RangeOptions & { readonly unit: "ms" | "s" | "h" },
): ConfigKey<number> {
  const unitMs = durationMs[options.unit] ?? 1;
  return row(options, {
    kind: "duration",
    unit: options.unit,
    allowed: `${options.min} to ${options.max} ${options.unit}, or with a suffix ms, s, m, h, d`,
    parse: (written) => {
      const match = /^(\d{1,15}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)?$/.exec(written);
      if (match === null) return undefined;
      const suffixMs = match[2] === undefined ? unitMs : (durationMs[match[2]] ?? 1);
      return within((Number(match[1]) * suffixMs) / unitMs, options);
    },
    format: String,
  });
}

const sizeBytes: Readonly<Record<string, number>> = {
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
};

/** A number of bytes; a suffix k, m, g, t (or KiB, MiB, GiB, TiB) multiplies by 1024. */
export function size(options: RangeOptions): ConfigKey<number> {
  return row(options, {
    kind: "size",
    unit: "bytes",
    allowed: `${options.min} to ${options.max} bytes, or with a suffix KiB, MiB, GiB, TiB`,
    parse: (written) => {
      const match = /^(\d{1,15})\s*([kmgt]?)(?:i?b)?$/i.exec(written);
      if (match === null) return undefined;
      const suffix = (match[2] ?? "").toLowerCase();
      const factor = suffix === "" ? 1 : (sizeBytes[suffix] ?? 1);
      return within(Number(match[1]) * factor, options);
    },
    format: String,
  });
}

const addressPattern = /^(?:\[([0-9a-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/i;

/** One `host:port`, taken apart. An IPv6 host stands in brackets in the text, without them here. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** Reads `host:port`; `undefined` when it is none. */
export function parseAddress(written: string): Address | undefined {
  const match = addressPattern.exec(written.trim());
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || !(port >= 1 && port <= 65_535)) return undefined;
  return { host, port };
}

/** Writes `host:port`, an IPv6 host in brackets. */
export function formatAddress(address: Address): string {
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** Addresses `host:port` separated by semicolons (or commas); may be empty. */
export function addresses(options: KeyOptions<readonly Address[]>): ConfigKey<readonly Address[]> {
  return row(options, {
    kind: "addresses",
    unit: "",
    allowed: "HOST:PORT, several separated by semicolons",
    parse: (written) => {
      const parts = written.split(/[;,]/).filter((part) => part.trim() !== "");
      const parsed = parts.map(parseAddress);
      const good = parsed.filter((address) => address !== undefined);
      return good.length === parsed.length ? Object.freeze(good) : undefined;
    },
    format: (value) => value.map(formatAddress).join(";"),
  });
}

/** Hours of the day separated by semicolons, `04` or `04;16`. */
export function hours(options: KeyOptions<readonly number[]>): ConfigKey<readonly number[]> {
  return row(options, {
    kind: "hours",
    unit: "",
    allowed: "hours of the day 00 to 23, several separated by semicolons",
    parse: (written) => {
      const parts = written.split(";").map((part) => part.trim());
      if (!parts.every((part) => /^\d{1,2}$/.test(part) && Number(part) <= 23)) return undefined;
      return Object.freeze(parts.map(Number));
    },
    format: (value) => value.map((hour) => String(hour).padStart(2, "0")).join(";"),
  });
}
