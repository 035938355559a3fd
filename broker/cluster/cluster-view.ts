// What this broker knows of the others: where each topic and each broker name is served. Its own share comes from its
// own tables, that of the others from all NameServers together. docs/cluster.md.
import { type BrokerConfiguration, type Clock, limits } from "../../base/index.ts";
import type { BrokerSeen, Registrar, TopicHolder } from "../../registrar/index.ts";
import type { Standing } from "../ha/index.ts";
import type { Metadata } from "../metadata/index.ts";
import { type Place, placeOf, type TopicPlace, topicPlaceOf } from "./place.ts";
import { RememberedQuestion } from "./remembered-question.ts";

/** What the view stands on. */
export interface ClusterViewOptions {
  /** Undefined: there are no NameServers, and this broker knows of itself alone. */
  readonly registrar: Pick<Registrar, "askTopic" | "askBrokers" | "mastersSeen"> | undefined;
  readonly config: BrokerConfiguration;
  readonly clock: Clock;
  /** What is served here now; undefined while nothing is. */
  local(): { readonly metadata: Metadata; readonly canSend: boolean } | undefined;
  standing(): Standing;
}

/** The cluster as this broker sees it. */
export class ClusterView {
  readonly #options: ClusterViewOptions;
  readonly #topics = new Map<string, RememberedQuestion<TopicHolder>>();
  readonly #brokers = new Map<string, RememberedQuestion<BrokerSeen>>();

  constructor(options: ClusterViewOptions) {
    this.#options = options;
  }

  /** Whether there are no NameServers to ask: then there is no broker name but this one. */
  get isAlone(): boolean {
    return this.#options.registrar === undefined;
  }

  /** Where a topic is, one place a broker name and by name; asks NameServers when what is known is over a second old. */
  async topic(name: string): Promise<readonly TopicPlace[]> {
    return this.#places(name, (await this.#topicQuestion(name)?.fresh()) ?? []);
  }

  /** As `topic`, at once with what is known, however old; waits only when nobody has been asked yet. */
  async knownTopic(name: string): Promise<readonly TopicPlace[]> {
    return this.#places(name, (await this.#topicQuestion(name)?.known()) ?? []);
  }

  /** Who serves a broker name other than this broker; undefined when nobody is known. */
  async broker(brokerName: string): Promise<Place | undefined> {
    const seen = (await this.#brokerQuestion(brokerName)?.known()) ?? [];
    return seen.filter((broker) => !this.#isThis(broker)).map(placeOf)[0];
  }

  /** The addresses of all other brokers of a name, as NameServers say now. */
  async replicas(brokerName: string): Promise<readonly string[]> {
    const { registrar } = this.#options;
    const asked = registrar?.askBrokers(brokerName, limits.nameServerAskMs) ?? [];
    const seen = (await Promise.all(asked)).flatMap((answer) => answer?.brokers ?? []);
    const others = seen.filter((broker) => !this.#isThis(broker));
    return [...new Set(others.map((broker) => placeOf(broker).address))];
  }

  /** The address of the master of this broker's own name, when that is another one and is known. */
  async ownMaster(): Promise<string | undefined> {
    const { brokerName, brokerId } = this.#options.config.values;
    const standing = this.#options.standing();
    if (standing.kind === "master") return undefined;
    const told = standing.kind === "slave" ? standing.master : undefined;
    if (told !== undefined && told.grpcAddress !== "" && told.brokerId !== brokerId) {
      return told.grpcAddress;
    }
    const masters = this.#options.registrar?.mastersSeen() ?? [];
    const seen = masters.find((master) => master.brokerId !== brokerId);
    if (seen !== undefined) return seen.grpcAddress;
    return (await this.broker(brokerName))?.address;
  }

  /** What is known of a topic or a broker name has misled somebody: it is asked for anew before it is used again. */
  doubt({ topic, brokerName }: { readonly topic?: string; readonly brokerName?: string }): void {
    if (topic !== undefined) this.#topics.get(topic)?.doubt();
    if (brokerName !== undefined) this.#brokers.get(brokerName)?.doubt();
  }

  #places(name: string, holders: readonly TopicHolder[]): readonly TopicPlace[] {
    const own = this.#ownPlace(name);
    const { brokerName } = this.#options.config.values;
    const isServing = this.#options.local() !== undefined;
    const others = holders
      .filter((holder) => !(isServing && holder.brokerName === brokerName) && !this.#isThis(holder))
      .map(topicPlaceOf);
    if (own === undefined) return others;
    return [...others, own].sort((a, b) => (a.brokerName < b.brokerName ? -1 : 1));
  }

  #ownPlace(name: string): TopicPlace | undefined {
    const local = this.#options.local();
    const topic = local?.metadata.topic(name);
    if (local === undefined || topic === undefined) return undefined;
    const { brokerName, brokerId, brokerPermission, brokerIP1 } = this.#options.config.values;
    return {
      brokerName,
      brokerId,
      isOwn: true,
      address: "",
      host: brokerIP1,
      observedHost: "",
      port: 0,
      canSend: local.canSend,
      topic: { ...topic, perm: topic.perm & brokerPermission },
    };
  }

  #isThis(broker: BrokerSeen): boolean {
    const { brokerName, brokerId } = this.#options.config.values;
    return broker.brokerName === brokerName && broker.brokerId === brokerId;
  }

  #topicQuestion(name: string): RememberedQuestion<TopicHolder> | undefined {
    const { registrar, clock } = this.#options;
    if (registrar === undefined) return undefined;
    const ask = (): ReturnType<Registrar["askTopic"]> =>
      registrar.askTopic(name, limits.nameServerAskMs);
    return used(this.#topics, name, () => new RememberedQuestion(clock, ask));
  }

  #brokerQuestion(name: string): RememberedQuestion<BrokerSeen> | undefined {
    const { registrar, clock } = this.#options;
    if (registrar === undefined) return undefined;
    const ask = (): ReturnType<Registrar["askBrokers"]> =>
      registrar.askBrokers(name, limits.nameServerAskMs);
    return used(this.#brokers, name, () => new RememberedQuestion(clock, ask));
  }
}

/** The entry of `key`, made when there is none, and moved to the end; the first is dropped when there are too many. */
function used<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const value = map.get(key) ?? make();
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > limits.clusterViewCountMax && oldest !== undefined) map.delete(oldest);
  return value;
}
