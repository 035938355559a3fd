// What a broker has opened, to be closed in reverse: at its close, or when opening the rest failed.
import type { Logger } from "../base/index.ts";

interface Opening {
  readonly name: string;
  readonly close: () => Promise<void> | void;
}

/** A list of things to close. */
export class Openings {
  readonly #logger: Logger;
  readonly #list: Opening[] = [];

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Notes how to close what was just opened. */
  add(name: string, close: () => Promise<void> | void): void {
    this.#list.push({ name, close });
  }

  /** Closes all, last opened first. One that fails is logged and does not keep the others from closing. */
  async close(): Promise<void> {
    for (let opening = this.#list.pop(); opening !== undefined; opening = this.#list.pop()) {
      try {
        await opening.close();
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        this.#logger.error(`closing ${opening.name} failed`, { reason });
      }
    }
  }
}
