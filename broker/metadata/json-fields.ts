// Reads the fields of a stored JSON object with their types checked: stored bytes are never trusted.
import { MqError } from "../../base/index.ts";

/** A parsed JSON object whose fields are asked for by type. Every method throws CORRUPT when a field is not of it. */
export class JsonFields {
  readonly #fields: ReadonlyMap<string, unknown>;
  readonly #what: string;

  private constructor(value: unknown, what: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new MqError("CORRUPT", `stored ${what} is no JSON object`);
    }
    this.#fields = new Map<string, unknown>(Object.entries(value));
    this.#what = what;
  }

  /** Parses UTF-8 JSON; `what` names it in errors. */
  static parse(bytes: Uint8Array, what: string): JsonFields {
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(bytes).toString());
    } catch (cause) {
      throw new MqError("CORRUPT", `stored ${what} is no JSON`, { cause });
    }
    return new JsonFields(value, what);
  }

  string(key: string): string {
    const value = this.#fields.get(key);
    if (typeof value !== "string") throw this.wrong(key);
    return value;
  }

  number(key: string): number {
    const value = this.#fields.get(key);
    if (typeof value !== "number") throw this.wrong(key);
    return value;
  }

  boolean(key: string): boolean {
    const value = this.#fields.get(key);
    if (typeof value !== "boolean") throw this.wrong(key);
    return value;
  }

  stringOrNumber(key: string): string | number {
    const value = this.#fields.get(key);
    if (typeof value !== "string" && typeof value !== "number") throw this.wrong(key);
    return value;
  }

  numbers(key: string): readonly number[] {
    const value = this.#fields.get(key);
    if (!Array.isArray(value)) throw this.wrong(key);
    return value.map((item: unknown) => {
      if (typeof item !== "number") throw this.wrong(key);
      return item;
    });
  }

  /** An object whose values are all strings. */
  strings(key: string): Readonly<Record<string, string>> {
    const fields = this.object(key).#fields;
    const strings: Record<string, string> = {};
    for (const [name, value] of fields) {
      if (typeof value !== "string") throw this.wrong(`${key}.${name}`);
      strings[name] = value;
    }
    return strings;
  }

  object(key: string): JsonFields {
    return new JsonFields(this.#fields.get(key), `${key} of a ${this.#what}`);
  }

  /** The error for a field that is missing or not what it should be. */
  wrong(key: string): MqError {
    return new MqError("CORRUPT", `stored ${this.#what} has no usable field ${key}`);
  }
}
