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

  /** A time: milliseconds since 1970, or an ISO 8601 text such as 2026-01-31T12:00:00Z. */
  time(name: string): number | undefined {
    const written = this.text(name);
    if (written === undefined) return undefined;
    const value = /^\d+$/.test(written) ? Number(written) : Date.parse(written);
    if (Number.isSafeInteger(value) && value >= 0) return value;
    throw new UsageFailure(
      `--${name} must be milliseconds since 1970 or a time like 2026-01-31T12:00:00Z, not "${written}"`,
    );
  }
}
