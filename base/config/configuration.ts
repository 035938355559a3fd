// Puts a configuration together from flags, environment, file and defaults, in that order of strength,
// checks every value, and lets live keys change later. Reads no file and no environment by itself.
import { MqError } from "../errors.ts";
import { type ConfigKey, hiddenText } from "./keys.ts";
import { parseProperties } from "./properties.ts";
import { rocketmqKeys } from "./rocketmq-keys.ts";

/** A configuration table: one row for each key of `C`. */
export type ConfigTable<C> = { readonly [K in keyof C]: ConfigKey<C[K]> };

/** A role of a process: its keys and the rules between them. */
export interface ConfigRole<C> {
  /** `broker`, `namesrv` or `standalone`. */
  readonly name: string;
  readonly keys: ConfigTable<C>;
  /** Variables of the environment that RocketMQ's scripts set, and the key each means; weaker than COMETMQ_ ones. */
  readonly environmentNames?: Readonly<Record<string, keyof C & string>>;
  /** Fills what follows from other keys and refuses conflicts with BAD_CONFIG. */
  finish(values: C): C;
}

/** Where the value of a key came from. */
export type ConfigSource = "flag" | "environment" | "file" | "default" | "live";

/** Everything a configuration is made from. */
export interface ConfigInput {
  /** Values of flags by key. */
  readonly flags?: Readonly<Record<string, string>>;
  /** The process environment; `COMETMQ_brokerName` and `COMETMQ_BROKER_NAME` both set brokerName. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** A properties file; `name` is for messages only. */
  readonly file?: { readonly name: string; readonly text: string };
}

/** One key as operators see it. */
export interface ConfigEntry {
  readonly key: string;
  readonly value: string;
  readonly source: ConfigSource;
  readonly change: "restart" | "live";
}

const environmentPrefix = "COMETMQ_";

function plain(name: string): string {
  return name.replace(/[._-]/g, "").toLowerCase();
}

function badValue(
  key: string,
  written: string,
  options: { readonly allowed: string; readonly origin: string },
): MqError {
  return new MqError(
    "BAD_CONFIG",
    `${key} = ${JSON.stringify(written)} (${options.origin}) is not allowed: give ${options.allowed}`,
    { facts: { key, value: written, allowed: options.allowed } },
  );
}

interface Written {
  readonly text: string;
  readonly source: ConfigSource;
  readonly origin: string;
}

/** A secret is hidden; that there is none may be seen. */
function shown(row: Pick<ConfigKey<never>, "isSecret">, text: string): string {
  return row.isSecret && text !== "" ? hiddenText : text;
}

/** A checked configuration of one process. `values` is frozen; an accepted live change replaces it. */
export class Configuration<C extends object> {
  readonly role: ConfigRole<C>;
  /** What was odd but no error: unknown keys, each named. For the log. */
  readonly warnings: readonly string[];
  #values: Readonly<C>;
  readonly #sources: Map<keyof C, ConfigSource>;
  readonly #listeners = new Set<() => void>();

  private constructor(
    role: ConfigRole<C>,
    values: C,
    origins: { readonly sources: Map<keyof C, ConfigSource>; readonly warnings: readonly string[] },
  ) {
    this.role = role;
    this.#values = Object.freeze(values);
    this.#sources = origins.sources;
    this.warnings = origins.warnings;
  }

  /** Reads and checks all input. Throws BAD_CONFIG with key, value and allowed range. */
  static load<C extends object>(role: ConfigRole<C>, input: ConfigInput = {}): Configuration<C> {
    const warnings: string[] = [];
    const written = new Map<string, Written>();
    readFile(role, input, { written, warnings });
    readEnvironment(role, input, { written, warnings });
    for (const [key, text] of Object.entries(input.flags ?? {})) {
      if (!Object.hasOwn(role.keys, key)) throw new MqError("BAD_CONFIG", `unknown flag --${key}`);
      written.set(key, { text, source: "flag", origin: `flag --${key}` });
    }
    const sources = new Map<keyof C, ConfigSource>();
    const values: Partial<C> = {};
    for (const key of keysOf(role)) {
      const found = written.get(String(key));
      values[key] = found === undefined ? role.keys[key].default : parse(role, key, found);
      sources.set(key, found?.source ?? "default");
    }
    return new Configuration(role, role.finish(complete(role, values)), { sources, warnings });
  }

  /** The same with some values replaced, as if given by flags. Throws BAD_CONFIG on conflicts. */
  override(values: Partial<C>): Configuration<C> {
    const sources = new Map(this.#sources);
    for (const key of keysOf(this.role)) if (Object.hasOwn(values, key)) sources.set(key, "flag");
    const changed = this.role.finish({ ...this.#values, ...values });
    return new Configuration(this.role, changed, { sources, warnings: this.warnings });
  }

  /** Where the value of `key` came from. */
  source(key: keyof C): ConfigSource {
    return this.#sources.get(key) ?? "default";
  }

  /** The values now. Hold the Configuration, not this, where a key is live. */
  get values(): Readonly<C> {
    return this.#values;
  }

  /** Every key with its value as text, secrets hidden, and where it came from, in the order of the table. */
  entries(): ConfigEntry[] {
    return keysOf(this.role).map((key) => ({
      key: String(key),
      value: shown(this.role.keys[key], this.role.keys[key].format(this.#values[key])),
      source: this.source(key),
      change: this.role.keys[key].change,
    }));
  }

  /**
   * Changes one live key while running, until the process ends. Throws BAD_CONFIG when the key is unknown, needs a
   * restart, the value is not allowed or conflicts with another; then nothing has changed.
   */
  updateLive(key: string, text: string): void {
    const known = keysOf(this.role).find((name) => name === key);
    if (known === undefined) throw new MqError("BAD_CONFIG", unknownKey(this.role, key));
    if (this.role.keys[known].change !== "live") {
      throw new MqError(
        "BAD_CONFIG",
        `${key} cannot change while the process runs: set it in the configuration file and restart`,
        { facts: { key, value: shown(this.role.keys[known], text) } },
      );
    }
    const value = parse(this.role, known, { text: text.trim(), source: "live", origin: "update" });
    this.#values = Object.freeze(this.role.finish({ ...this.#values, [known]: value }));
    this.#sources.set(known, "live");
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after each accepted live change. Returns what ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

function keysOf<C extends object>(role: ConfigRole<C>): (keyof C)[] {
  // The table has exactly the keys of C: its type says so.
  return Object.keys(role.keys) as (keyof C)[];
}

function complete<C extends object>(role: ConfigRole<C>, values: Partial<C>): C {
  const missing = keysOf(role).find((key) => values[key] === undefined);
  if (missing !== undefined) throw new MqError("BAD_CONFIG", `${String(missing)} has no value`);
  return values as C;
}

function parse<C extends object, K extends keyof C>(
  role: ConfigRole<C>,
  key: K,
  written: Written,
): C[K] {
  const row = role.keys[key];
  const value = row.parse(written.text);
  if (value !== undefined) return value;
  const { origin } = written;
  throw badValue(String(key), shown(row, written.text), { allowed: row.allowed, origin });
}

interface Collected {
  readonly written: Map<string, Written>;
  readonly warnings: string[];
}

function readFile<C extends object>(
  role: ConfigRole<C>,
  input: ConfigInput,
  { written, warnings }: Collected,
): void {
  if (input.file === undefined) return;
  for (const { key, value, line } of parseProperties(input.file.text)) {
    const origin = `${input.file.name}:${line}`;
    if (Object.hasOwn(role.keys, key)) written.set(key, { text: value, source: "file", origin });
    else warnings.push(`${origin}: ${unknownKey(role, key)}`);
  }
}

function readEnvironment<C extends object>(
  role: ConfigRole<C>,
  input: ConfigInput,
  { written, warnings }: Collected,
): void {
  const byPlainName = new Map(keysOf(role).map((key) => [plain(String(key)), String(key)]));
  const environment = input.environment ?? {};
  for (const [name, key] of Object.entries(role.environmentNames ?? {})) {
    const text = environment[name]?.trim() ?? "";
    if (text !== "")
      written.set(key, { text, source: "environment", origin: `environment ${name}` });
  }
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(environmentPrefix) || text === undefined) continue;
    const key = byPlainName.get(plain(name.slice(environmentPrefix.length)));
    const origin = `environment ${name}`;
    if (key === undefined) warnings.push(`${origin}: no such key of a ${role.name}; ignored`);
    else written.set(key, { text: text.trim(), source: "environment", origin });
  }
}

function unknownKey<C extends object>(role: ConfigRole<C>, key: string): string {
  const near = keysOf(role).find((known) => plain(String(known)) === plain(key));
  if (near !== undefined) return `unknown key ${key}; did you mean ${String(near)}?`;
  if (rocketmqKeys.has(key)) {
    return `unknown key ${key}; a RocketMQ key without a meaning for a CometMQ ${role.name}, ignored`;
  }
  return `unknown key ${key}, ignored`;
}
