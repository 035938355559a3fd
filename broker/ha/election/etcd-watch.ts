// Hears of changes in a range of etcd's keys for as long as it is open, at whichever member answers. What was missed
// between two streams is not replayed: the listener is called at each start and reads the state anew.
import type { CancelTimer, Clock, Logger } from "../../../base/index.ts";
import type { EtcdGateway, JsonObject } from "./etcd-gateway.ts";
import { timings } from "./timings.ts";

/** What is watched. */
export interface EtcdWatchOptions {
  readonly gateway: EtcdGateway;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly range: JsonObject;
  readonly changed: () => void;
}

/** A watch that starts itself anew. */
export class EtcdWatch {
  readonly #options: EtcdWatchOptions;
  #stop: (() => void) | undefined;
  #cancelRetry: CancelTimer | undefined;
  #cancelFollow: CancelTimer | undefined;
  #member = -1;
  #closed = false;

  constructor(options: EtcdWatchOptions) {
    this.#options = options;
  }

  /** Begins to watch; does nothing when it does already. */
  start(): void {
    if (this.#closed || this.#cancelFollow !== undefined) return;
    const { clock, gateway } = this.#options;
    // Calls that fail move on to another member. A watch at the member they left might be silent for ever.
    this.#cancelFollow = clock.every(timings.pollMs, () => {
      if (gateway.current !== this.#member) this.#stop?.();
    });
    this.#open();
  }

  /** Ends it. */
  close(): void {
    this.#closed = true;
    this.#cancelFollow?.();
    this.#cancelRetry?.();
    this.#stop?.();
  }

  #open(): void {
    if (this.#closed) return;
    const { gateway, range, logger, changed } = this.#options;
    const member = gateway.current;
    this.#member = member;
    this.#stop = gateway.stream(
      member,
      { path: "/v3/watch", body: { create_request: range } },
      {
        message: (message) => {
          if (message["canceled"] === true) this.#stop?.();
          else changed();
        },
        ended: (reason) => {
          this.#stop = undefined;
          if (this.#closed) return;
          logger.debug("watch ended", { member: gateway.addressOf(member), reason });
          if (reason !== "closed") gateway.moveOn(member);
          this.#openLater();
        },
      },
    );
  }

  #openLater(): void {
    this.#cancelRetry = this.#options.clock.after(timings.retryMs, () => this.#open(), {
      unref: true,
    });
  }
}
