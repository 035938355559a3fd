// An SQL filter: which messages of a topic a consumer wants, as a condition over their properties.
import {
  type PickedValues,
  type SystemPropertyName,
  SystemPropertyPicker,
  UserPropertyPicker,
} from "@cometmq/proto";
import { type Condition, compileCondition } from "./sql-compiler.ts";
import { parseSql } from "./sql-parser.ts";
import { systemPropertyOf } from "./visible-properties.ts";

/** The parts of a message that conditions are about, as records of the log have them. */
export interface FilteredMessage {
  readonly systemProperties: Uint8Array;
  readonly userProperties: Uint8Array;
}

/** Parts of an expression that cost about as much as looking at a message at all. */
const partsPerLook = 16;

/** A compiled expression. Synchronous, and makes no objects but the values it reads. */
export class SqlFilter {
  /** What one message costs, as a multiple of what a small expression costs; from 1. */
  readonly cost: number;
  readonly #condition: Condition;
  readonly #user: UserPropertyPicker | undefined;
  readonly #system: SystemPropertyPicker | undefined;
  readonly #userCount: number;
  /** Of the message looked at: of user properties first, then of system properties. */
  readonly #values: PickedValues;

  private constructor(expression: string) {
    const { condition, names, nodeCount, searchCount } = parseSql(expression);
    const user: string[] = [];
    const system: string[] = [];
    const systemProperties: SystemPropertyName[] = [];
    for (const name of names) {
      const property = systemPropertyOf(name);
      if (property === undefined) user.push(name);
      else {
        system.push(name);
        systemProperties.push(property);
      }
    }
    const slots = new Map([...user, ...system].map((name, slot) => [name, slot]));
    this.#condition = compileCondition(condition, (name) => slots.get(name) ?? -1);
    this.#user = user.length === 0 ? undefined : new UserPropertyPicker(user);
    this.#system = system.length === 0 ? undefined : new SystemPropertyPicker(systemProperties);
    this.#userCount = user.length;
    this.#values = names.map(() => undefined);
    this.cost = 1 + searchCount + Math.floor(nodeCount / partsPerLook);
  }

  /** Parses and compiles. Throws ILLEGAL_FILTER_EXPRESSION with the position and what was expected. */
  static parse(expression: string): SqlFilter {
    return new SqlFilter(expression);
  }

  /** Whether the condition is true for `message`: neither false nor unknown. */
  matches(message: FilteredMessage): boolean {
    const values = this.#values;
    values.fill(undefined);
    this.#user?.pick(message.userProperties, values);
    this.#system?.pick(message.systemProperties, values, this.#userCount);
    return this.#condition(values) === true;
  }
}
