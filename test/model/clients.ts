// The clients of a modelled broker: they say what a schedule wants, and tell the expectation what they are answered.
import { Calls, type CallsOptions } from "./calls.ts";
import { Consumers } from "./consumers.ts";
import type { ModelBroker } from "./model-broker.ts";
import { Producers } from "./producers.ts";
import { Pullers } from "./pullers.ts";

/** All clients. */
export class Clients {
  readonly #calls: Calls;
  readonly producers: Producers;
  readonly consumers: Consumers;
  readonly pullers: Pullers;

  constructor(options: Omit<CallsOptions, "calls"> & { readonly broker: ModelBroker }) {
    this.#calls = new Calls(options.broker);
    const parts = { ...options, calls: this.#calls };
    this.producers = new Producers(parts);
    this.consumers = new Consumers(parts);
    this.pullers = new Pullers(parts);
  }

  /** Waits for all calls that are under way. Throws what is wrong with an answer. */
  settle(): Promise<void> {
    return this.#calls.settle();
  }

  /** Throws what was wrong with an answer. */
  check(): void {
    this.#calls.check();
  }

  /** The process is gone: nothing under way is answered, and all of it may have been done. */
  crash(): void {
    this.#calls.crash();
    this.pullers.committed.crash();
    this.stopped();
  }

  /** The process is gone, and all it was told. */
  stopped(): void {
    this.consumers.lite.forget();
  }
}
