// One question to all NameServers, its answers so far, and when to ask again. Many callers share one round.
import { type Clock, limits } from "../../base/index.ts";
import type { Asked, BrokerSeen, NameServerAnswer } from "../../registrar/index.ts";
import { NameServerMemory } from "./name-server-memory.ts";

/** Asks all NameServers at once. */
export type AskAll<Seen extends BrokerSeen> = () => readonly Asked<Seen>[];

/** A question and what is known of its answer. */
export class RememberedQuestion<Seen extends BrokerSeen> {
  readonly #clock: Clock;
  readonly #ask: AskAll<Seen>;
  readonly #memory: NameServerMemory<Seen> = new NameServerMemory();
  #active: readonly Seen[] = [];
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #doneAtMs = Number.NEGATIVE_INFINITY;
  #round: Promise<void> | undefined;

  constructor(clock: Clock, ask: AskAll<Seen>) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** The answer as it is known, at most `clusterViewAgeMs` old unless NameServers are silent. */
  async fresh(): Promise<readonly Seen[]> {
    if (this.#isOld) await this.#roundUnderWay();
    return this.#active;
  }

  /** The answer as it is known, of whatever age, asked anew in the background when it is old; waits only when nothing has been asked yet. */
  async known(): Promise<readonly Seen[]> {
    if (!this.#isOld) return this.#active;
    const round = this.#roundUnderWay();
    if (this.#doneAtMs === Number.NEGATIVE_INFINITY) await round;
    return this.#active;
  }

  /** What is known was found wrong: the next caller asks anew. */
  doubt(): void {
    if (this.#round === undefined && this.#doneAtMs > Number.NEGATIVE_INFINITY) {
      this.#doneAtMs = Math.min(
        this.#doneAtMs,
        this.#clock.monotonicMs() - limits.clusterViewAgeMs,
      );
    }
  }

  get #isOld(): boolean {
    return this.#clock.monotonicMs() - this.#doneAtMs >= limits.clusterViewAgeMs;
  }

  #roundUnderWay(): Promise<void> {
    this.#round ??= this.#askRound().finally(() => {
      this.#round = undefined;
      this.#doneAtMs = this.#clock.monotonicMs();
    });
    return this.#round;
  }

  /** Ends when all have answered, or a moment after the first one that knows somebody. Late answers are taken as well. */
  #askRound(): Promise<void> {
    this.#askedAtMs = this.#clock.monotonicMs();
    const asked = this.#ask();
    let left = asked.length;
    return new Promise((resolve) => {
      if (left === 0) resolve();
      let isGraceOn = false;
      const take = (answer: NameServerAnswer<Seen> | undefined): void => {
        left -= 1;
        if (answer !== undefined) {
          this.#memory.hear(answer, this.#clock.monotonicMs());
          this.#active = this.#memory.active(this.#askedAtMs);
        }
        if (left === 0) resolve();
        if (answer === undefined || answer.brokers.length === 0 || isGraceOn) return;
        isGraceOn = true;
        this.#clock.after(limits.nameServerGraceMs, resolve, { unref: true });
      };
      for (const one of asked) one.then(take, () => take(undefined));
    });
  }
}
