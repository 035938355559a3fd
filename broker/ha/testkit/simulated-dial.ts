// One attempt to make a link in the simulated network: a question, an answer, and patience that ends.
import {
  type Address,
  type ErrorCode,
  formatAddress,
  limits,
  MqError,
} from "../../../base/index.ts";
import type { Link } from "../network.ts";
import type { DialWires } from "./simulated-wires.ts";

/** Dials once. */
export class SimulatedDial {
  readonly from: string;
  readonly #to: Address;
  readonly #network: DialWires;
  #isOver = false;
  #isForgotten = false;
  #waits: (() => void) | undefined;

  constructor(network: DialWires, from: string, to: Address) {
    this.#network = network;
    this.from = from;
    this.#to = to;
  }

  get to(): string {
    return this.#to.host;
  }

  /** Rejects HA_NOT_AVAILABLE when refused, given up, or not answered in time. */
  link(signal?: AbortSignal): Promise<Link> {
    const { clock } = this.#network;
    return new Promise((resolve, reject) => {
      const finish = (done: () => void): void => {
        if (this.#isOver) return;
        this.#isOver = true;
        cancel();
        signal?.removeEventListener("abort", abort);
        this.#network.whenRunning(this.from, () => {
          // A dead process hears nothing any more.
          if (!this.#isForgotten) done();
        });
      };
      const fail = (why: string): void => finish(() => reject(failure(this.#to, why)));
      const abort = (): void => fail("dialling was given up");
      const cancel = clock.after(limits.haProofMs, () => {
        fail(`it did not answer within ${limits.haProofMs} ms`);
      });
      if (signal?.aborted === true) return abort();
      signal?.addEventListener("abort", abort, { once: true });
      this.#travel(this.from, this.to, () => this.#arrive({ finish, fail, resolve }));
    });
  }

  /** The process that dials is gone. */
  forget(): void {
    this.#isForgotten = true;
    this.#isOver = true;
  }

  /** The host that is dialled goes on. */
  goOn(): void {
    const waits = this.#waits;
    this.#waits = undefined;
    waits?.();
  }

  #travel(from: string, to: string, arrive: () => void): void {
    if (!this.#network.reaches(from, to)) return;
    this.#network.clock.after(this.#network.delayMs(from, to), () => {
      if (this.#network.reaches(from, to)) arrive();
    });
  }

  #arrive(ends: Ends): void {
    if (this.#isOver) return;
    const accept = this.#network.accepting(this.#to);
    if (accept === undefined) {
      return this.#travel(this.to, this.from, () => ends.fail("connection refused"));
    }
    // A process that stands still proves nothing.
    if (!this.#network.isRunning(this.to)) {
      this.#waits = () => this.#arrive(ends);
      return;
    }
    const [dialler, acceptor] = this.#network.join(this.from, this.#to);
    this.#travel(this.to, this.from, () => {
      if (this.#isOver) dialler.close("dialling was given up");
      else ends.finish(() => ends.resolve(dialler));
    });
    accept(acceptor);
  }
}

interface Ends {
  readonly finish: (done: () => void) => void;
  readonly fail: (why: string) => void;
  readonly resolve: (link: Link) => void;
}

/** In the words of the machine's network. */
export function failure(to: Address, why: string, code: ErrorCode = "HA_NOT_AVAILABLE"): MqError {
  return new MqError(code, `no replication with ${formatAddress(to)}: ${why}`);
}
