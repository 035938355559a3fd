// The tables of a NameServer as a pure function: state and event in, new state and what happened out.
// Who is registered, which of two claimants stays, when silence ends a registration. No clock, no network.
import { formatAddress } from "../base/index.ts";
import {
  compareVersions,
  type DataVersion,
  type Duty,
  type RegisteredTopic,
} from "../route/index.ts";

/** A live broker. */
export interface RoutedBroker {
  readonly clusterName: string;
  readonly brokerName: string;
  readonly brokerId: number;
  readonly duty: Duty;
  /** What the broker advertises; empty = see `observedHost`. */
  readonly host: string;
  /** Where its connection came from. */
  readonly observedHost: string;
  readonly port: number;
  /** The replication port; 0 when it has none. */
  readonly haPort: number;
  /** Tells one process from the next of the same name. */
  readonly instanceId: string;
  readonly softwareVersion: string;
  readonly version: DataVersion;
  readonly topics: ReadonlyMap<string, RegisteredTopic>;
}

/** A live broker with what the table knows of its registration. */
export interface BrokerEntry extends RoutedBroker {
  /** The stream that holds the registration. */
  readonly session: number;
  /** False for a broker in the same process, which cannot fall silent. */
  readonly expires: boolean;
  readonly registeredAtMs: number;
  readonly heardAtMs: number;
}

/** All tables. Never changed in place. */
export interface RouteState {
  /** By `brokerKey`. */
  readonly brokers: ReadonlyMap<string, BrokerEntry>;
}

/** What can happen to the tables. */
export type RouteEvent =
  | {
      readonly kind: "register";
      readonly session: number;
      readonly expires: boolean;
      readonly broker: RoutedBroker;
    }
  | {
      readonly kind: "change";
      readonly session: number;
      /** Version that the changes start from. */
      readonly base: DataVersion;
      readonly version: DataVersion;
      readonly upserts: readonly RegisteredTopic[];
      readonly removals: readonly string[];
    }
  | { readonly kind: "heartbeat"; readonly session: number; readonly version: DataVersion }
  | { readonly kind: "leave"; readonly session: number; readonly reason: string }
  | { readonly kind: "tick"; readonly silenceMaxMs: number };

/** What an event led to, in order. */
export type RouteChange =
  | { readonly kind: "joined"; readonly broker: BrokerEntry }
  | { readonly kind: "left"; readonly broker: BrokerEntry; readonly reason: string }
  | { readonly kind: "changed"; readonly broker: BrokerEntry };

/** The answer to the event's sender. */
export type RouteAnswer =
  | { readonly kind: "accepted"; readonly version: DataVersion }
  /** The sender's table is not the one held here: it must send all of it. */
  | { readonly kind: "fullTableWanted"; readonly version: DataVersion }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "none" };

/** New state and consequences of one event. */
export interface RouteStep {
  readonly state: RouteState;
  readonly changes: readonly RouteChange[];
  readonly answer: RouteAnswer;
}

/** Version of a table that nobody has sent yet. */
export const noVersion: DataVersion = { epoch: 0, timestampMs: 0, counter: 0 };

/** No broker at all. */
export const emptyRoutes: RouteState = { brokers: new Map() };

/** Key of a broker in the state. */
export function brokerKey(broker: {
  readonly brokerName: string;
  readonly brokerId: number;
}): string {
  return `${broker.brokerName}/${broker.brokerId}`;
}

/** Where the broker is, as far as this NameServer can tell: `host:port`. */
export function brokerAddress(broker: RoutedBroker): string {
  return formatAddress({
    host: broker.host === "" ? broker.observedHost : broker.host,
    port: broker.port,
  });
}

/** Applies one event. `nowMs` is any clock that goes forward, the same for all calls. */
export function stepRoutes(state: RouteState, event: RouteEvent, nowMs: number): RouteStep {
  let step: RouteStep;
  switch (event.kind) {
    case "register":
      step = register(state, event, nowMs);
      break;
    case "change":
      step = change(state, event, nowMs);
      break;
    case "heartbeat":
      step = heartbeat(state, event, nowMs);
      break;
    case "leave":
      step = remove(state, event.reason, (broker) => broker.session === event.session);
      break;
    case "tick": {
      const reason = `silent for more than ${event.silenceMaxMs} ms`;
      step = remove(
        state,
        reason,
        (broker) => broker.expires && nowMs - broker.heardAtMs > event.silenceMaxMs,
      );
      break;
    }
  }
  return step;
}

function remove(
  state: RouteState,
  reason: string,
  goes: (broker: BrokerEntry) => boolean,
): RouteStep {
  const leaving = [...state.brokers.values()].filter(goes);
  return { ...without(state, leaving, reason), answer: { kind: "none" } };
}

function without(
  state: RouteState,
  leaving: readonly BrokerEntry[],
  reason: string,
): Pick<RouteStep, "state" | "changes"> {
  if (leaving.length === 0) return { state, changes: [] };
  const brokers = new Map(state.brokers);
  for (const broker of leaving) brokers.delete(brokerKey(broker));
  return {
    state: { brokers },
    changes: leaving.map((broker) => ({ kind: "left", broker, reason })),
  };
}

function withEntry(state: RouteState, entry: BrokerEntry): RouteState {
  return { brokers: new Map(state.brokers).set(brokerKey(entry), entry) };
}

function register(
  state: RouteState,
  event: Extract<RouteEvent, { kind: "register" }>,
  nowMs: number,
): RouteStep {
  const { session, broker } = event;
  const reason = conflict(state, session, broker);
  if (reason !== undefined) {
    return { state, changes: [], answer: { kind: "refused", reason } };
  }
  // The same process on a new stream, a newer process at the same place, or a new name on this stream.
  const superseded = [...state.brokers.values()].filter(
    (other) =>
      brokerKey(other) === brokerKey(broker) ||
      other.session === session ||
      other.instanceId === broker.instanceId,
  );
  const entry: BrokerEntry = {
    ...broker,
    session,
    expires: event.expires,
    registeredAtMs: nowMs,
    heardAtMs: nowMs,
  };
  const answer: RouteAnswer = { kind: "accepted", version: broker.version };
  const [only] = superseded;
  if (
    only?.session === session &&
    superseded.length === 1 &&
    brokerKey(only) === brokerKey(broker)
  ) {
    const changed = { ...entry, registeredAtMs: only.registeredAtMs };
    return {
      state: withEntry(state, changed),
      changes: [{ kind: "changed", broker: changed }],
      answer,
    };
  }
  const removed = without(state, superseded, "registered anew");
  return {
    state: withEntry(removed.state, entry),
    changes: [...removed.changes, { kind: "joined", broker: entry }],
    answer,
  };
}

/** Why `broker` may not register now; `undefined` when it may. */
function conflict(state: RouteState, session: number, broker: RoutedBroker): string | undefined {
  for (const other of state.brokers.values()) {
    if (other.session === session || other.instanceId === broker.instanceId) continue;
    const sameKey = brokerKey(other) === brokerKey(broker);
    const samePlace = brokerAddress(other) === brokerAddress(broker);
    if (sameKey && !samePlace) {
      return `brokerName ${broker.brokerName} with brokerId ${broker.brokerId} is taken by the live broker at ${brokerAddress(other)}: give this broker another brokerName or brokerId, or stop the other`;
    }
    if (sameKey && isOlder(broker, other)) {
      return `a newer process of ${broker.brokerName} at ${brokerAddress(other)} is registered`;
    }
    if (samePlace && !sameKey) {
      return `the address ${brokerAddress(broker)} is taken by the live broker ${other.brokerName} with brokerId ${other.brokerId}: give this broker another port, or set brokerIP1`;
    }
    if (other.brokerName === broker.brokerName && other.clusterName !== broker.clusterName) {
      return `brokerName ${broker.brokerName} belongs to cluster ${other.clusterName} (${brokerAddress(other)}), not ${broker.clusterName}`;
    }
    if (!sameKey && isOvertaken(broker, other)) {
      const { epoch } = other.version;
      return `brokerName ${broker.brokerName} has a master of epoch ${epoch} with brokerId ${other.brokerId} at ${brokerAddress(other)}: this broker's epoch ${broker.version.epoch} is over, it must follow that one`;
    }
  }
  return undefined;
}

/** Whether `broker` comes from an earlier process, or an earlier reign, than `other` at the same place. */
function isOlder(broker: RoutedBroker, other: RoutedBroker): boolean {
  const reigns = broker.duty === "master" && other.duty === "master";
  return reigns
    ? compareVersions(broker.version, other.version) < 0
    : broker.version.timestampMs < other.version.timestampMs;
}

/** Whether `other` is a master of the same name, and of no older reign than the master `broker`. */
function isOvertaken(broker: RoutedBroker, other: RoutedBroker): boolean {
  return (
    other.brokerName === broker.brokerName &&
    broker.duty === "master" &&
    other.duty === "master" &&
    broker.version.epoch <= other.version.epoch
  );
}

function bySession(state: RouteState, session: number): BrokerEntry | undefined {
  for (const broker of state.brokers.values()) if (broker.session === session) return broker;
  return undefined;
}

function change(
  state: RouteState,
  event: Extract<RouteEvent, { kind: "change" }>,
  nowMs: number,
): RouteStep {
  const held = bySession(state, event.session);
  if (held === undefined) {
    return { state, changes: [], answer: { kind: "fullTableWanted", version: noVersion } };
  }
  const heard = { ...held, heardAtMs: nowMs };
  if (compareVersions(event.version, held.version) <= 0) {
    // Known already, or overtaken: what is held is newer.
    const answer: RouteAnswer = { kind: "accepted", version: held.version };
    return { state: withEntry(state, heard), changes: [], answer };
  }
  if (compareVersions(event.base, held.version) !== 0) {
    const answer: RouteAnswer = { kind: "fullTableWanted", version: held.version };
    return { state: withEntry(state, heard), changes: [], answer };
  }
  const topics = new Map(held.topics);
  for (const name of event.removals) topics.delete(name);
  for (const topic of event.upserts) topics.set(topic.name, topic);
  const broker = { ...heard, topics, version: event.version };
  return {
    state: withEntry(state, broker),
    changes: [{ kind: "changed", broker }],
    answer: { kind: "accepted", version: event.version },
  };
}

function heartbeat(
  state: RouteState,
  event: Extract<RouteEvent, { kind: "heartbeat" }>,
  nowMs: number,
): RouteStep {
  const held = bySession(state, event.session);
  if (held === undefined) {
    return { state, changes: [], answer: { kind: "fullTableWanted", version: noVersion } };
  }
  const same = compareVersions(event.version, held.version) === 0;
  return {
    state: withEntry(state, { ...held, heardAtMs: nowMs }),
    changes: [],
    answer: { kind: same ? "accepted" : "fullTableWanted", version: held.version },
  };
}
