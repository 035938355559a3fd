// Holds the route tables of one NameServer: gives them time, tells what changed to the log, and ends the streams of
// brokers that were taken out. All decisions are in route-table.ts.
import { type CancelTimer, type Clock, type Logger, limits } from "../base/index.ts";
import {
  brokerAddress,
  emptyRoutes,
  type RouteAnswer,
  type RouteChange,
  type RouteEvent,
  type RouteState,
  stepRoutes,
} from "./route-table.ts";

const tickMs = 1_000;
/** A tick that is this late says that this process stood still, not that brokers were silent. */
const standstillMs = 3_000;

/** One stream of a broker. */
export interface RegistrySession {
  /** Names the sender in events. */
  readonly id: number;
}

/** The tables and who feeds them. */
export class Registry {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #endings = new Map<number, (reason: string) => void>();
  readonly #startedAtMs: number;
  readonly #startedMonotonicMs: number;
  #state: RouteState = emptyRoutes;
  #lastSession = 0;
  #cancelTick: CancelTimer | undefined;

  constructor(options: { readonly clock: Clock; readonly logger: Logger }) {
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#startedAtMs = options.clock.now();
    this.#startedMonotonicMs = options.clock.monotonicMs();
  }

  /** Begins to take silent brokers out. */
  start(): void {
    let lastMs = this.#clock.monotonicMs();
    this.#cancelTick = this.#clock.every(tickMs, () => {
      const sinceMs = this.#clock.monotonicMs() - lastMs;
      lastMs += sinceMs;
      // After a standstill of this process the heartbeats of the meantime are still to be read.
      if (sinceMs > standstillMs) return;
      this.apply({ kind: "tick", silenceMaxMs: limits.brokerSilenceMaxMs });
    });
  }

  /** The tables now. */
  get state(): RouteState {
    return this.#state;
  }

  /** What the times of the tables count from, milliseconds since 1970. */
  get startedAtMs(): number {
    return this.#startedAtMs;
  }

  /** How long it has been running, milliseconds. */
  get upMs(): number {
    return Math.round(this.#clock.monotonicMs() - this.#startedMonotonicMs);
  }

  /** Begins a session. `end` is called when its broker is taken out for another reason than its own leaving. */
  openSession(end: (reason: string) => void): RegistrySession {
    const id = ++this.#lastSession;
    this.#endings.set(id, end);
    return { id };
  }

  /** Ends a session; its broker is gone at once. */
  closeSession(session: RegistrySession, reason: string): void {
    this.#endings.delete(session.id);
    this.apply({ kind: "leave", session: session.id, reason });
  }

  /** Applies one event and answers its sender. */
  apply(event: RouteEvent): RouteAnswer {
    const full = this.#state.brokers.size >= limits.routedBrokerCountMax;
    if (event.kind === "register" && full) {
      return {
        kind: "refused",
        reason: `this NameServer holds ${limits.routedBrokerCountMax} brokers`,
      };
    }
    const nowMs = this.#clock.monotonicMs() - this.#startedMonotonicMs;
    const step = stepRoutes(this.#state, event, nowMs);
    this.#state = step.state;
    for (const change of step.changes) this.#follow(change);
    return step.answer;
  }

  /** Stops the clockwork and ends all sessions. */
  close(): void {
    this.#cancelTick?.();
    const endings = [...this.#endings.values()];
    this.#endings.clear();
    for (const end of endings) end("the NameServer is stopping");
  }

  #follow(change: RouteChange): void {
    const { broker } = change;
    const fields = {
      cluster: broker.clusterName,
      broker: broker.brokerName,
      id: broker.brokerId,
      duty: broker.duty,
      address: brokerAddress(broker),
      topics: broker.topics.size,
    };
    switch (change.kind) {
      case "joined":
        this.#logger.info("broker registered", fields);
        break;
      case "changed":
        this.#logger.debug("broker changed its topics", fields);
        break;
      case "left": {
        this.#logger.info("broker gone", { ...fields, reason: change.reason });
        const end = this.#endings.get(broker.session);
        if (end !== undefined && !this.#holds(broker.session)) end(change.reason);
        break;
      }
    }
  }

  #holds(session: number): boolean {
    for (const broker of this.#state.brokers.values()) if (broker.session === session) return true;
    return false;
  }
}
