// Which clients' calls were passed on, and to whom: those brokers have to hear that a client lives, and when it goes.
import { type Clock, limits } from "../../base/index.ts";

/** Brokers by client. */
export class Passengers {
  readonly #clock: Clock;
  /** By client id: when a call of it last went to each address. */
  readonly #clients = new Map<string, Map<string, number>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A call of the client goes to `address`. */
  note(clientId: string, address: string): void {
    let addresses = this.#clients.get(clientId);
    if (addresses === undefined) {
      addresses = new Map();
      const [oldest] = this.#clients.keys();
      if (this.#clients.size >= limits.clientCountMax && oldest !== undefined) {
        this.#clients.delete(oldest);
      }
      this.#clients.set(clientId, addresses);
    }
    addresses.set(address, this.#clock.monotonicMs());
  }

  /** Addresses that calls of the client went to lately. */
  addresses(clientId: string): readonly string[] {
    const addresses = this.#clients.get(clientId);
    if (addresses === undefined) return [];
    const oldestMs = this.#clock.monotonicMs() - limits.forwardMemoryMs;
    for (const [address, atMs] of addresses) if (atMs < oldestMs) addresses.delete(address);
    if (addresses.size === 0) this.#clients.delete(clientId);
    return [...addresses.keys()];
  }

  /** The client is not at `address` any more. */
  drop(clientId: string, address: string): void {
    this.#clients.get(clientId)?.delete(address);
  }

  /** The client is gone; gives where its calls went to. */
  take(clientId: string): readonly string[] {
    const addresses = this.addresses(clientId);
    this.#clients.delete(clientId);
    return addresses;
  }
}
