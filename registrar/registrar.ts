// How a broker makes itself known and hears of others: the interface it uses, and how the state of each NameServer is
// told.
import type { Duty, RegisteredTopic, Registration } from "../route/index.ts";

/** One NameServer as the broker sees it. */
export interface NameServerStatus {
  /** `host:port`, or `in this process`. */
  readonly address: string;
  readonly state: "registered" | "connecting" | "refused";
  /** Since when, milliseconds since 1970. */
  readonly sinceMs: number;
  /** Why it is not registered; empty when it is. */
  readonly reason: string;
}

/** A broker of the published brokerName, as NameServers see it. */
export interface ReplicaSeen {
  readonly brokerId: number;
  readonly duty: Duty;
  /** Reign that it takes part in. */
  readonly epoch: number;
  /** `host:port` for clients and operators, as this process can dial it. */
  readonly grpcAddress: string;
  /** `host:port` for replication; empty when it has none. */
  readonly haAddress: string;
  /** The NameServers that list it, as in `status()`. */
  readonly nameServers: readonly string[];
}

/** A broker as a NameServer names it. */
export interface BrokerSeen {
  readonly clusterName: string;
  readonly brokerName: string;
  readonly brokerId: number;
  readonly duty: Duty;
  readonly epoch: number;
  /** What it advertises; empty = `observedHost`. */
  readonly host: string;
  /** Where it is, as this process can dial it. */
  readonly observedHost: string;
  readonly port: number;
  /** `host:port` for replication; empty when it has none, or it is not told. */
  readonly haAddress: string;
}

/** A broker that holds a topic. */
export interface TopicHolder extends BrokerSeen {
  readonly topic: RegisteredTopic;
}

/** What one NameServer says. */
export interface NameServerAnswer<Seen extends BrokerSeen> {
  /** As in `status()`. */
  readonly address: string;
  readonly brokers: readonly Seen[];
  /** False while it is so young that brokers it does not name may be on their way to it. */
  readonly isSettled: boolean;
}

/** What became of the first try to register. */
export type FirstAnswer =
  | { readonly kind: "registered" }
  | { readonly kind: "refused"; readonly address: string; readonly reason: string }
  /** No NameServer answered in time. */
  | { readonly kind: "silent" };

/** Keeps a broker registered. Failures show in `status()` and the log, never in the caller. */
export interface Registrar {
  /** Makes this whole table known from now on. Returns at once; later tables replace earlier ones. */
  publish(registration: Registration): void;
  /** One entry a NameServer, in the configured order. */
  status(): readonly NameServerStatus[];
  /** Live brokers of the published name, this one included, by id: the union of what NameServers said with their last answer. */
  replicas(): readonly ReplicaSeen[];
  /** Those of `replicas` that a NameServer lists as master, the newest reign first. */
  mastersSeen(): readonly ReplicaSeen[];
  /** NameServers with which this broker is registered, and which have run long enough that who is not listed is not there. */
  settledCount(): number;
  /** Calls `listener` after each change of `status`, `replicas` or `settledCount`. Returns what ends it. */
  onChange(listener: () => void): () => void;
  /** How the registration went: refused by one, accepted by all that answer, or silence until the time is over. */
  firstAnswer(timeoutMs: number): Promise<FirstAnswer>;
  /** Asks each NameServer who holds a topic; undefined from one that does not answer in time. Never rejects. */
  askTopic(topic: string, timeoutMs: number): readonly Asked<TopicHolder>[];
  /** Asks each NameServer for the brokers of a name, slaves included. As `askTopic`. */
  askBrokers(brokerName: string, timeoutMs: number): readonly Asked<BrokerSeen>[];
  /** Unregisters everywhere; bounded to half a second. `publish` does nothing afterwards. */
  close(): Promise<void>;
}

/** The answer of one NameServer to come. */
export type Asked<Seen extends BrokerSeen> = Promise<NameServerAnswer<Seen> | undefined>;
