// What servers said of one topic, and the route that follows. The union of their brokers counts. Where they
// disagree about a broker, the one whose word changed last is believed: the others have not heard yet.
import {
  brokersOf,
  type GroupQueue,
  type Route,
  type RouteBroker,
  writableBrokers,
} from "./route.ts";

/** One answer of one server. */
export interface ServerAnswer {
  readonly address: string;
  /** Whether the application named the server; others only count more than silence. */
  readonly named: boolean;
  readonly queues: Parameters<typeof brokersOf>[0];
  readonly nowMs: number;
}

interface Word {
  readonly text: string;
  /** When the server was first heard to say so in place of something else; 0 when it always did. */
  readonly changedMs: number;
}

interface Server {
  readonly named: boolean;
  readonly brokers: readonly RouteBroker[];
  /** By name and id, of brokers it does not list any more too. */
  readonly words: ReadonlyMap<string, Word>;
}

interface Claim {
  readonly broker: RouteBroker;
  readonly changedMs: number;
  readonly named: boolean;
  /** How many servers name the address. */
  readonly count: number;
}

/**
 * So long a name that is not listed keeps its message groups: their order needs that they wait for it. After that
 * they are spread over the names that are left.
 */
export const awayMaxMs = 60_000;

/** The answers for one topic. */
export class RouteAnswers {
  readonly #servers = new Map<string, Server>();
  /** Names that took messages, their queues, and when they were listed last. */
  readonly #takers = new Map<
    string,
    { readonly queueIds: readonly number[]; readonly atMs: number }
  >();

  /** Takes the newest answer of a server. */
  take(answer: ServerAnswer): void {
    const known = this.#servers.get(answer.address);
    const brokers = brokersOf(answer.queues);
    const words = new Map(known?.words);
    for (const [key, text] of wordsOf(brokers)) {
      const before = words.get(key);
      if (before?.text === text) continue;
      // The first answer of a server may be as old as it likes; a broker new in it is news.
      words.set(key, { text, changedMs: known === undefined ? 0 : answer.nowMs });
    }
    this.#servers.set(answer.address, { named: answer.named, brokers, words });
  }

  /** Servers that failed lose their say while another one has it. */
  dropFailed(addresses: readonly string[]): void {
    const left = [...this.#servers.keys()].filter((address) => !addresses.includes(address));
    if (left.length === 0) return;
    for (const address of addresses) this.#servers.delete(address);
  }

  /** Once a named server answers, what brokers said in its place counts no longer. */
  dropUnnamed(): void {
    for (const [address, server] of this.#servers) {
      if (!server.named) this.#servers.delete(address);
    }
  }

  /** The route that all answers together make. */
  route(topic: string, nowMs: number): Route {
    const brokers = this.#believed();
    const takers = writableBrokers(brokers);
    for (const { name, writableQueueIds } of takers.toReversed()) {
      // Reversed, so that of several addresses the one that is believed counts.
      this.#takers.set(name, { queueIds: writableQueueIds, atMs: nowMs });
    }
    const closed = new Set(
      brokers
        .filter((broker) => broker.id === 0 && broker.writableQueueIds.length === 0)
        .map(({ name }) => name),
    );
    const listed = new Set(takers.map(({ name }) => name));
    for (const [name, { atMs }] of this.#takers) {
      if (listed.has(name)) continue;
      if (closed.has(name) || nowMs - atMs > awayMaxMs) this.#takers.delete(name);
    }
    const names = [...this.#takers.keys()].sort();
    return {
      topic,
      brokers,
      groupQueues: names.flatMap((name) => this.#queuesOf(name)),
      awayNames: names.filter((name) => !listed.has(name)),
    };
  }

  #queuesOf(brokerName: string): GroupQueue[] {
    const ids = this.#takers.get(brokerName)?.queueIds ?? [];
    return ids.map((queueId) => ({ brokerName, queueId }));
  }

  /** All addresses, by name and id, and the ones to be believed first. */
  #believed(): readonly RouteBroker[] {
    const claims = new Map<string, Claim>();
    for (const { named, brokers, words } of this.#servers.values()) {
      for (const broker of brokers) {
        const changedMs = words.get(keyOf(broker))?.changedMs ?? 0;
        const claim = { broker, changedMs, named, count: 1 };
        const address = `${keyOf(broker)}@${broker.endpoints.facade}`;
        const known = claims.get(address);
        const isBetter = known === undefined || compareWords(claim, known) < 0;
        const count = (known?.count ?? 0) + 1;
        claims.set(address, { ...(isBetter ? claim : known), count });
      }
    }
    return [...claims.values()]
      .sort((a, b) => compareKeys(a.broker, b.broker) || compareAddresses(a, b))
      .map(({ broker }) => broker);
  }
}

function keyOf(broker: RouteBroker): string {
  return `${broker.name}#${broker.id}`;
}

/** What an answer says of each name and id, as a text to compare. */
function wordsOf(brokers: readonly RouteBroker[]): ReadonlyMap<string, string> {
  const words = new Map<string, string>();
  for (const broker of brokers) {
    const { endpoints, readableQueueIds, writableQueueIds } = broker;
    const word = `${endpoints.facade} ${readableQueueIds.join()} ${writableQueueIds.join()}`;
    words.set(keyOf(broker), `${words.get(keyOf(broker)) ?? ""}${word};`);
  }
  return words;
}

function compareKeys(a: RouteBroker, b: RouteBroker): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return a.id - b.id;
}

/** Two words about one address: the newer first, then what a named server says, then the one with more queues. */
function compareWords(a: Claim, b: Claim): number {
  return (
    b.changedMs - a.changedMs ||
    Number(b.named) - Number(a.named) ||
    queueCountOf(b.broker) - queueCountOf(a.broker)
  );
}

/** Two addresses of one broker: the newer word first, then what a named server says, then what more servers say. */
function compareAddresses(a: Claim, b: Claim): number {
  return (
    b.changedMs - a.changedMs ||
    Number(b.named) - Number(a.named) ||
    b.count - a.count ||
    (a.broker.endpoints.facade < b.broker.endpoints.facade ? -1 : 1)
  );
}

function queueCountOf(broker: RouteBroker): number {
  return broker.readableQueueIds.length + broker.writableQueueIds.length;
}
