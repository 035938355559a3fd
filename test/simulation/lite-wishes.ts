// How clients of a simulated cluster say which lite topics they want: each of them by itself, while several may want one.
import type { GroupConfig, TopicConfig } from "../../broker/metadata/index.ts";
import type { ServingPlace } from "./place.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { World } from "./world.ts";

/** A client, and what it would like. */
export interface LiteClient {
  readonly id: string;
  readonly wanted: readonly string[];
}

/** What a wish is about. */
export interface LiteNames {
  readonly group: GroupConfig;
  readonly topic: TopicConfig;
}

/** The wishes of all clients, as they have said them. */
export interface LiteWishes {
  /** Of the group. */
  readonly attributes: Readonly<Record<string, string>>;
  /** Before a client asks a broker for messages. */
  say(client: LiteClient, place: ServingPlace, names: LiteNames): Promise<void>;
  /** Why a broker should not give a client a message of a lite topic now; undefined: it may. */
  objection(client: LiteClient, place: ServingPlace, name: string): string | undefined;
  stop(): void;
}

/** One of so many times a client says anew what it wants, and until all is healed less than all of it. */
const sayOfMany = 25;

/** Wishes of a group whose clients share lite topics. They tell each broker by themselves. */
export class SharedWishes implements LiteWishes {
  readonly attributes: Readonly<Record<string, string>> = {};
  readonly #world: World;
  readonly #random: SeededRandom;
  /** The names a client has said, by the broker it has said them to. */
  readonly #said = new Map<LiteClient, WeakMap<object, readonly string[]>>();

  constructor(world: World, random: SeededRandom) {
    this.#world = world;
    this.#random = random;
  }

  /** Subscriptions live in memory: each broker that serves anew has to be told. */
  async say(client: LiteClient, { local }: ServingPlace, names: LiteNames): Promise<void> {
    const { wanted, id } = client;
    const { isHealed } = this.#world;
    const said = this.#saidBy(client);
    const known = said.get(local.delivery);
    const isWhole = known?.length === wanted.length;
    const isDue = this.#random.below(sayOfMany) === 0 || (isHealed && !isWhole);
    if (known !== undefined && !isDue) return;
    const wants = isHealed ? wanted : this.#some(wanted);
    const quota = { clientMax: 10, countMax: 100, isExclusive: false };
    const change = { change: "set", names: wants } as const;
    await local.delivery.lite.sync({ ...names, ...quota, ...change, clientId: id });
    said.set(local.delivery, wants);
  }

  objection(client: LiteClient, { local }: ServingPlace, name: string): string | undefined {
    const isWanted = this.#saidBy(client).get(local.delivery)?.includes(name) === true;
    return isWanted ? undefined : "which does not want it";
  }

  stop(): void {}

  /** Where lite topics expire, something has to wait for long in each of them. */
  #some(wanted: readonly string[]): readonly string[] {
    if (!this.#world.mode.isExpiring) return wanted.slice(this.#random.below(2));
    return wanted.filter(() => this.#random.below(3) === 0);
  }

  #saidBy(client: LiteClient): WeakMap<object, readonly string[]> {
    const said = this.#said.get(client) ?? new WeakMap<object, readonly string[]>();
    this.#said.set(client, said);
    return said;
  }
}
