// Typed access to the flags that yargs has read.
import { UsageFailure } from "./failure.ts";

/** The flags of one invocation, by long name. */
export class Flags {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  /** The text of a flag, or undefined when it was not given. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    if (Array.isArray(value)) throw new UsageFailure(`--${name} was given more than once`);
    if (typeof value === "boolean" || typeof value === "number") return `${value}`;
    return typeof value === "string" ? value : undefined;
  }

  /** All texts of a flag that may be given more than once. */
  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return [value].flat().filter((one) => typeof one === "string");
  }

  /** The text of a flag that must be there and not be empty. */
  required(name: string): string {
    const value = this.text(name);
    if (value === undefined || value === "") throw new UsageFailure(`--${name} needs a value`);
    return value;
  }

  /** A whole number in `[min, max]`, or undefined when it was not given. */
  int(name: string, range: { readonly min: number; readonly max: number }): number | undefined {
    const written = this.text(name);
    if (written === undefined) return undefined;
    const value = Number(written);
    if (Number.isSafeInteger(value) && value >= range.min && value <= range.max) return value;
    throw new UsageFailure(
      `--${name} must be a whole number from ${range.min} to ${range.max}, not "${written}"`,
    );
  }

  /** true or false as RocketMQ's tools write it, or undefined when it was not given. */
  bool(name: string): boolean | undefined {
    const written = this.text(name)?.toLowerCase();
    if (written === undefined) return undefined;
    if (written === "true" || written === "") return true;
    if (written === "false") return false;
    throw new UsageFailure(`--${name} must be true or false, not "${written}"`);
  }

  /** A time: `now`, milliseconds since 1970, ISO 8601 as 2026-01-31T12:00:00Z, or RocketMQ's 2026-01-31#12:00:00:000, which is local. */
  time(name: string): number | undefined {
    const written = this.text(name);
    if (written === undefined) return undefined;
    const value = timeOf(written);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw new UsageFailure(
      `--${name} must be now, milliseconds since 1970 or a time like 2026-01-31T12:00:00Z, not "${written}"`,
    );
  }
}

const iso8601 = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/;
const rocketmqTime = /^(\d{4}-\d\d-\d\d)#(\d\d:\d\d:\d\d):(\d{3})$/;

function timeOf(written: string): number {
  if (written === "now") return Date.now();
  if (/^\d+$/.test(written)) return Number(written);
  const [, day, time, ms] = rocketmqTime.exec(written) ?? [];
  if (day !== undefined) return Date.parse(`${day}T${time}.${ms}`);
  // Date.parse alone makes something of nearly anything.
  return iso8601.test(written) ? Date.parse(written) : Number.NaN;
}
