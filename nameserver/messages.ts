// Between the messages of cometmq.v1 and the route tables. Reads nothing unchecked: what a broker says about
// itself ends up in the answers to every client.
import { Code, type cometmq } from "@cometmq/proto";
import { limits } from "../base/index.ts";
import { type DataVersion, endpointsOf, type RegisteredTopic } from "../route/index.ts";
import type { TopicPlace } from "./route-queries.ts";
import { type BrokerEntry, brokerAddress, type RoutedBroker } from "./route-table.ts";

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
  return {
    clusterName: message.cluster,
    brokerName: message.brokerName,
    brokerId: message.brokerId,
    host,
    observedHost,
    port,
    haAddress: message.haAddress,
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

/** Writes a broker for clusterList. The table's times count from `startedAtMs`. */
export function writeBroker(
  broker: BrokerEntry,
  startedAtMs: number,
): cometmq.v1.IRegisteredBroker {
  return {
    cluster: broker.clusterName,
    brokerName: broker.brokerName,
    brokerId: broker.brokerId,
    address: writeAddress(broker),
    haAddress: broker.haAddress,
    version: broker.version,
    registeredAtMs: Math.round(startedAtMs + broker.registeredAtMs),
    lastHeartbeatMs: Math.round(startedAtMs + broker.heardAtMs),
    topicCount: broker.topics.size,
    softwareVersion: broker.softwareVersion,
    observedAddress: brokerAddress({ ...broker, host: "" }),
  };
}

/** Writes a replica of a broker for the answer to a registration. */
export function writeReplica(broker: BrokerEntry): cometmq.v1.IReplica {
  return {
    brokerId: broker.brokerId,
    address: writeAddress(broker),
    haAddress: broker.haAddress,
  };
}

/** Writes a topic on a broker for topicRoute. */
export function writeTopicPlace({ broker, topic }: TopicPlace): cometmq.v1.ITopicRouteEntry {
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
    observedAddress: brokerAddress({ ...broker, host: "" }),
  };
}

function writeAddress({ host, port }: BrokerEntry): cometmq.v1.IBrokerAddress {
  return { host, port, scheme: host === "" ? 0 : endpointsOf(host, port).scheme };
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
