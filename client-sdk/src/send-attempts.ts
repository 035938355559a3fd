// How often and when a send is tried again: what each failure says about the message, and what follows. Pure.
import type { ClientError } from "./client-error.ts";
import { delayAfter, type RetryPolicy } from "./retry-policy.ts";

/**
 * What a failed attempt means.
 * - `free`: nobody was there to take the message. Tried again until the deadline, however often.
 * - `costly`: it may be stored, or the server is in trouble. Counts as one of the attempts.
 * - `elsewhere`: this broker will not do better. Counts, and is tried again at another broker only.
 * - `final`: no broker will do better.
 */
export type FailureKind = "free" | "costly" | "elsewhere" | "final";

/** What a failure of a send means. */
export function failureKind(error: ClientError): FailureKind {
  switch (error.code) {
    case "UNREACHABLE":
      return "free";
    case "HA_NOT_AVAILABLE":
      // Without a result for the message nobody has taken it; with one the master has it, and would store it twice.
      return error.stored ? "elsewhere" : "free";
    case "SLAVE_PERSISTENCE_TIMEOUT":
    case "FORBIDDEN":
    case "TOPIC_NOT_FOUND":
      return "elsewhere";
    default:
      return error.retryable ? "costly" : "final";
  }
}

const freeDelayMinMs = 10;
const freeDelayMaxMs = 200;
/** A server that fails may be about to stop or to hand over: it gets time for that. */
const troubleDelayMs = 200;
const troubleGrowth = 4;
const troubleCodes: ReadonlySet<string> = new Set(["INTERNAL_ERROR", "INTERNAL_SERVER_ERROR"]);

/** The attempts of one send. */
export class SendAttempts {
  /** Addresses that were called. */
  readonly tried: Set<string> = new Set();
  /** Which broker's turn it was at the first attempt; a retry takes nobody else's turn. */
  readonly turn: number;
  readonly #max: number;
  #costly = 0;
  #free = 0;

  /** `max` is how many attempts may be spent that are not free. */
  constructor(options: { readonly max: number; readonly turn: number }) {
    this.#max = options.max;
    this.turn = options.turn;
  }

  /** Takes note of a failure. False: the send has failed. `hasOther` says whether another broker could be tried. */
  goesOn(error: ClientError, hasOther: boolean): boolean {
    const kind = failureKind(error);
    if (kind === "free") {
      this.#free++;
      return true;
    }
    this.#costly++;
    if (kind === "final" || this.#costly >= this.#max) return false;
    return kind === "costly" || hasOther;
  }

  /** Milliseconds to wait before the next attempt. */
  delayMs(error: ClientError, hasOther: boolean, policy: RetryPolicy): number {
    if (hasOther && error.code !== "TOO_MANY_REQUESTS") return 0;
    if (failureKind(error) === "free") {
      return Math.min(freeDelayMaxMs, freeDelayMinMs * 2 ** Math.min(this.#free - 1, 10));
    }
    const asked = delayAfter(policy, this.#costly);
    if (!troubleCodes.has(error.code)) return asked;
    return Math.max(asked, troubleDelayMs * troubleGrowth ** (this.#costly - 1));
  }
}
