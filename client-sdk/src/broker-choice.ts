// Which broker a call goes to. First one address a name, where servers disagree about it; then the names take
// turns. Pure.
import type { RouteBroker } from "./route.ts";

/** What is known of a broker beyond its route. */
export interface BrokerStanding {
  /** Its connection works. */
  readonly usable: boolean;
  /** This call has been there. */
  readonly tried: boolean;
  /** Milliseconds since it said that it serves nobody now, as one that is no master; Infinity when it did not. */
  readonly refusedMsAgo: number;
}

export type StandingOf = (broker: RouteBroker) => BrokerStanding;

/** So long another address of the same name is preferred to one that refused. */
const refusalOfAddressMs = 30_000;
/** So long other names are preferred to one that refused. */
const refusalOfNameMs = 1_000;

/** One address for each name, the first of the list where nothing speaks against it. */
export function bestOfNames(
  brokers: readonly RouteBroker[],
  standingOf: StandingOf,
): readonly RouteBroker[] {
  const best = new Map<string, { readonly broker: RouteBroker; readonly cost: number }>();
  for (const broker of brokers) {
    const { usable, tried, refusedMsAgo } = standingOf(broker);
    const refused = refusedMsAgo < refusalOfAddressMs;
    const cost = (usable ? 0 : 4) + (refused ? 2 : 0) + (tried ? 1 : 0);
    const known = best.get(broker.name);
    if (known === undefined || cost < known.cost) best.set(broker.name, { broker, cost });
  }
  return [...best.values()].map(({ broker }) => broker);
}

/** A broker whose connection works, where possible one not tried that did not refuse; undefined when there is none. */
export function chooseBroker(
  brokers: readonly RouteBroker[],
  turn: number,
  standingOf: StandingOf,
): RouteBroker | undefined {
  let choice: RouteBroker[] = [];
  let lowest = Number.POSITIVE_INFINITY;
  for (const broker of bestOfNames(brokers, standingOf)) {
    const { usable, tried, refusedMsAgo } = standingOf(broker);
    if (!usable) continue;
    const cost = (refusedMsAgo < refusalOfNameMs ? 2 : 0) + (tried ? 1 : 0);
    if (cost < lowest) {
      lowest = cost;
      choice = [];
    }
    if (cost === lowest) choice.push(broker);
  }
  return choice[turn % choice.length];
}
