// Messages a second over the last ten seconds, for operators.
import type { CancelTimer, Clock } from "../base/index.ts";
import type { Traffic } from "./remoting/index.ts";

const windowSeconds = 10;

/** Samples the counters once a second. */
export class TrafficRates {
  readonly #traffic: Traffic;
  readonly #samples: { readonly put: number; readonly got: number }[] = [];
  readonly #stop: CancelTimer;

  constructor(traffic: Traffic, clock: Clock) {
    this.#traffic = traffic;
    this.#stop = clock.every(1_000, () => this.#sample());
  }

  /** Messages a second. */
  get now(): { readonly putTps: number; readonly getTps: number } {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || this.#samples.length < 2) {
      return { putTps: 0, getTps: 0 };
    }
    const seconds = this.#samples.length - 1;
    return { putTps: (last.put - first.put) / seconds, getTps: (last.got - first.got) / seconds };
  }

  /** Ends the sampling. */
  close(): void {
    this.#stop();
  }

  #sample(): void {
    const { total } = this.#traffic;
    this.#samples.push({ put: total.in.messages, got: total.out.messages });
    if (this.#samples.length > windowSeconds + 1) this.#samples.shift();
  }
}
