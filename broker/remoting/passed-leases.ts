// What was given to clients through another broker, for a moment: that broker tells when its client did not take the
// answer, and the messages are visible again at once.
import { type Clock, limits } from "../../base/index.ts";
import type { ServerCall } from "../../transport/index.ts";
import { hopHeaders, isPassedOn } from "../cluster/index.ts";
import type { Delivered } from "../delivery/index.ts";
import type { LocalParts } from "./context.ts";

type Lease = Parameters<LocalParts["delivery"]["giveBack"]>[0][number];

interface Given {
  readonly delivery: LocalParts["delivery"];
  readonly leases: readonly Lease[];
  readonly atMs: number;
}

/** Receives that another broker has passed on and that were answered a moment ago. */
export class PassedLeases {
  readonly #clock: Clock;
  /** By receipt, the oldest first. */
  readonly #given = new Map<string, Given>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Remembers an answer that another broker has taken. Calls that came straight from a client are not remembered. */
  keep(
    delivery: LocalParts["delivery"],
    delivered: readonly Delivered[],
    call: Pick<ServerCall, "header">,
  ): void {
    const receipt = call.header(hopHeaders.receipt);
    if (receipt === undefined || !isPassedOn(call) || receipt.length > receiptLengthMax) return;
    const nowMs = this.#clock.monotonicMs();
    for (const [old, { atMs }] of this.#given) {
      if (nowMs - atMs < limits.passedLeaseMs && this.#given.size < limits.passedLeasesMax) break;
      this.#given.delete(old);
    }
    this.#given.set(receipt, { delivery, leases: delivered.map(slim), atMs: nowMs });
  }

  /** Whether `call` gives something back; that is done then. */
  giveBack(call: Pick<ServerCall, "header">): boolean {
    const receipt = call.header(hopHeaders.giveBack);
    if (receipt === undefined || !isPassedOn(call)) return false;
    const given = this.#given.get(receipt);
    this.#given.delete(receipt);
    given?.delivery.giveBack(given.leases);
    return true;
  }
}

/** Names a delivery without holding on to the message itself. */
function slim({ lease, deliveryNumber }: Delivered): Lease {
  return { lease, deliveryNumber };
}

const receiptLengthMax = 64;
