// Between the messages of cometmq.v1 and the route tables. Reads nothing unchecked: what a broker says about
// itself ends up in the answers to every client.
import { Code, cometmq } from "@cometmq/proto";
import { formatAddress, limits, parseAddress } from "../base/index.ts";
import {
  type Asker,
  type DataVersion,
  type Duty,
  dutyOf,
  endpointsOf,
  type RegisteredTopic,
  reachableHost,
} from "../route/index.ts";
import type { ServerCall } from "../transport/index.ts";
import type { TopicPlace } from "./route-queries.ts";
import type { BrokerEntry, RoutedBroker } from "./route-table.ts";

const { BrokerDuty } = cometmq.v1;

const duties: Readonly<Record<number, Duty>> = {
  [BrokerDuty.MASTER]: "master",
  [BrokerDuty.SLAVE]: "slave",
  [BrokerDuty.ACTING_MASTER]: "acting",
};

const dutyCodes: Readonly<Record<Duty, number>> = {
  master: BrokerDuty.MASTER,
  slave: BrokerDuty.SLAVE,
  acting: BrokerDuty.ACTING_MASTER,
};

const namePattern = /^[A-Za-z0-9._|%-]{1,127}$/;
const hostPattern = /^[A-Za-z0-9._:-]{0,253}$/;

/** Status of an answer that went well. */
export const okStatus: { readonly code: number; readonly message: string } = {
  code: Code.OK,
  message: "",
};

/** Reads a version; absent is the oldest. */
export function readVersion(version: cometmq.v1.TableVersion | null): DataVersion {
  return {
    epoch: version?.epoch ?? 0,
    timestampMs: version?.timestampMs ?? 0,
    counter: version?.counter ?? 0,
  };
}

/** Reads a registration that came from `observedHost`; a text says what is wrong with it. */
export function readRegistration(
  message: cometmq.v1.BrokerRegistration,
  observedHost: string,
): RoutedBroker | string {
  const host = message.address?.host ?? "";
  const port = message.address?.port ?? 0;
  if (!namePattern.test(message.cluster)) return `cluster ${quote(message.cluster)} is no name`;
  if (!namePattern.test(message.brokerName)) {
    return `brokerName ${quote(message.brokerName)} is no name`;
  }
  if (!(message.brokerId >= 0)) return `brokerId ${message.brokerId} is negative`;
  if (!hostPattern.test(host)) return `host ${quote(host)} is neither a name nor an address`;
  if (!(port >= 1 && port <= 65_535)) return `port ${port} is not from 1 to 65535`;
  if (message.instanceId === "") return "the registration names no instance";
  const wrong = message.topics.map(wrongTopic).find((reason) => reason !== undefined);
  if (wrong !== undefined) return wrong;
  const { brokerId, haAddress } = message;
  const haPort = message.haPort === 0 ? (parseAddress(haAddress)?.port ?? 0) : message.haPort;
  if (!(haPort >= 0 && haPort <= 65_535)) return `haPort ${haPort} is not from 0 to 65535`;
  return {
    clusterName: message.cluster,
    brokerName: message.brokerName,
    brokerId,
    duty: duties[message.duty] ?? dutyOf({ brokerId }),
    host,
    observedHost,
    port,
    haPort,
    instanceId: message.instanceId,
    softwareVersion: message.softwareVersion,
    version: readVersion(message.version),
    topics: new Map(message.topics.map((topic) => [topic.name, readTopic(topic)])),
  };
}

/** What is wrong with a topic's row; `undefined` when nothing is. */
export function wrongTopic(topic: cometmq.v1.TopicConfig): string | undefined {
  const name = `topic ${quote(topic.name)}`;
  if (topic.name === "" || topic.name.length > 2 * limits.topicLengthMax)
    return `${name} is no name`;
  for (const count of [topic.readQueues, topic.writeQueues]) {
    if (!(count >= 0 && count <= 65_536)) return `${name} has ${count} queues`;
  }
  if (!(topic.perm >= 0 && topic.perm <= 7)) return `${name} has permission ${topic.perm}`;
  return undefined;
}

/** Reads a topic's row that has been found right. */
export function readTopic(topic: cometmq.v1.TopicConfig): RegisteredTopic {
  return {
    name: topic.name,
    readQueueNums: topic.readQueues,
    writeQueueNums: topic.writeQueues,
    perm: topic.perm,
    messageType: topic.messageType === "" ? "NORMAL" : topic.messageType,
    order: topic.order,
  };
}

/** Who asks, and how he came here. */
export function askerOf(call: ServerCall): Asker {
  return { authority: call.authority, localAddress: call.connection.localAddress };
}

/** Writes a broker for clusterList. The table's times count from `startedAtMs`. */
export function writeBroker(
  broker: BrokerEntry,
  { startedAtMs, asker }: { readonly startedAtMs: number; readonly asker: Asker },
): cometmq.v1.IRegisteredBroker {
  return {
    cluster: broker.clusterName,
    brokerName: broker.brokerName,
    brokerId: broker.brokerId,
    address: writeAddress(broker),
    duty: dutyCodes[broker.duty],
    haAddress: advertisedHaAddress(broker),
    version: broker.version,
    registeredAtMs: Math.round(startedAtMs + broker.registeredAtMs),
    lastHeartbeatMs: Math.round(startedAtMs + broker.heardAtMs),
    topicCount: broker.topics.size,
    softwareVersion: broker.softwareVersion,
    ...observed(broker, asker),
  };
}

/** Writes a replica of a broker for the answer to a registration. */
export function writeReplica(broker: BrokerEntry, asker: Asker): cometmq.v1.IReplica {
  return {
    brokerId: broker.brokerId,
    address: writeAddress(broker),
    haAddress: advertisedHaAddress(broker),
    duty: dutyCodes[broker.duty],
    epoch: broker.version.epoch,
    ...observed(broker, asker),
  };
}

/** Writes a topic on a broker for topicRoute. */
export function writeTopicPlace(
  { broker, topic }: TopicPlace,
  asker: Asker,
): cometmq.v1.ITopicRouteEntry {
  return {
    cluster: broker.clusterName,
    brokerName: broker.brokerName,
    brokerId: broker.brokerId,
    address: writeAddress(broker),
    readQueues: topic.readQueueNums,
    writeQueues: topic.writeQueueNums,
    perm: topic.perm,
    messageType: topic.messageType,
    order: topic.order,
    duty: dutyCodes[broker.duty],
    epoch: broker.version.epoch,
    observedAddress: observed(broker, asker).observedAddress,
  };
}

/** Where the asker can dial a broker, whatever it advertises. */
function observed(
  broker: BrokerEntry,
  asker: Asker,
): { readonly observedAddress: string; readonly observedHaAddress: string } {
  const host = reachableHost({ host: "", observedHost: broker.observedHost }, asker);
  const { port, haPort } = broker;
  return {
    observedAddress: formatAddress({ host, port }),
    observedHaAddress: haPort === 0 ? "" : formatAddress({ host, port: haPort }),
  };
}

function advertisedHaAddress({ host, haPort }: BrokerEntry): string {
  return host === "" || haPort === 0 ? "" : formatAddress({ host, port: haPort });
}

function writeAddress({ host, port }: BrokerEntry): cometmq.v1.IBrokerAddress {
  return { host, port, scheme: host === "" ? 0 : endpointsOf(host, port).scheme };
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
