// Calls of modelled clients to a broker: which of them are under way, and what was wrong with an answer.
import type { SeededRandom } from "../simulation/seeded-random.ts";
import type { Expectation } from "./expectation.ts";
import type { Holdings } from "./holdings.ts";
import type { ModelBroker } from "./model-broker.ts";
import type { Sent } from "./sent.ts";

/** What clients of a kind stand on. */
export interface CallsOptions {
  readonly calls: Calls;
  readonly expectation: Expectation;
  readonly holdings: Holdings;
  readonly random: SeededRandom;
  /** Hears what comes from the broker, for the trace. */
  readonly say: (line: string) => void;
}

/** The calls of all clients. */
export class Calls {
  readonly broker: ModelBroker;
  /** Calls without an answer, and the messages they are about. */
  readonly #underWay = new Map<Promise<void>, readonly Sent[]>();
  #failure: Error | undefined;

  constructor(broker: ModelBroker) {
    this.broker = broker;
  }

  /** How many have no answer yet. */
  get count(): number {
    return this.#underWay.size;
  }

  /** Waits for all calls that are under way. Throws what is wrong with an answer. */
  async settle(): Promise<void> {
    await this.broker.time.pass(0);
    while (this.#underWay.size > 0 && this.#failure === undefined) await this.broker.time.pass(1);
    this.check();
  }

  /** Throws what was wrong with an answer. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The process is gone: nothing under way is answered, and all of it may have been done. */
  crash(): void {
    for (const about of this.#underWay.values()) for (const sent of about) sent.isVague = true;
    this.#underWay.clear();
  }

  /** Begins one about these messages. */
  start(about: readonly Sent[], task: () => Promise<void>): void {
    const running: Promise<void> = task().then(
      () => void this.#underWay.delete(running),
      (error: unknown) => {
        this.#underWay.delete(running);
        this.#failure ??= asError(error);
      },
    );
    this.#underWay.set(running, about);
  }

  /** Runs what a command of the broker leads to. */
  guard(task: () => void): void {
    try {
      task();
    } catch (error) {
      this.#failure ??= asError(error);
    }
  }

  /** Whether another call about a message is under way. */
  isOvertaken(sent: Sent): boolean {
    return [...this.#underWay.values()].filter((about) => about.includes(sent)).length > 1;
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
