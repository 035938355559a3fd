// The registration in the words of cometmq.v1: whole tables, differences between two tables, heartbeats.
// Pure; the link sends what is made here.
import { cometmq } from "@cometmq/proto";
import { formatAddress } from "../base/index.ts";
import {
  type DataVersion,
  dutyOf,
  endpointsOf,
  type RegisteredTopic,
  type Registration,
  sameTopic,
} from "../route/index.ts";

const { BrokerDuty } = cometmq.v1;
const dutyCodes = {
  master: BrokerDuty.MASTER,
  slave: BrokerDuty.SLAVE,
  acting: BrokerDuty.ACTING_MASTER,
} as const;

/** What is true of the process, whatever its table says. */
export interface ProcessFacts {
  /** Tells this process from the next of the same name. */
  readonly instanceId: string;
  /** Milliseconds since 1970. */
  readonly startedAtMs: number;
  readonly softwareVersion: string;
}

/** The version of a table as NameServers compare it. */
export function versionOf(table: Registration, facts: ProcessFacts): DataVersion {
  return { ...table.version, timestampMs: facts.startedAtMs };
}

/** The event that sends all of `table`. */
export function wholeTable(table: Registration, facts: ProcessFacts): cometmq.v1.IBrokerEvent {
  const { host, port } = table;
  const scheme = host === "" ? 0 : endpointsOf(host, port).scheme;
  return {
    registration: {
      cluster: table.clusterName,
      brokerName: table.brokerName,
      brokerId: table.brokerId,
      address: { host, port, scheme },
      duty: dutyCodes[dutyOf(table)],
      haAddress: haAddress(table),
      haPort: table.haPort,
      version: versionOf(table, facts),
      topics: table.topics.map(topicRow),
      instanceId: facts.instanceId,
      softwareVersion: facts.softwareVersion,
    },
  };
}

/** The event that turns `before` into `after`, both tables of one broker. */
export function tableChanges(
  before: Registration,
  after: Registration,
  facts: ProcessFacts,
): cometmq.v1.IBrokerEvent {
  const known = new Map(before.topics.map((topic) => [topic.name, topic]));
  const upserts: RegisteredTopic[] = [];
  for (const topic of after.topics) {
    const old = known.get(topic.name);
    if (old === undefined || !sameTopic(old, topic)) upserts.push(topic);
    known.delete(topic.name);
  }
  return {
    changes: {
      base: versionOf(before, facts),
      version: versionOf(after, facts),
      upserts: upserts.map(topicRow),
      removals: [...known.keys()],
    },
  };
}

/** Whether only topics differ, so that changes are enough. */
export function sameBroker(a: Registration, b: Registration): boolean {
  return (
    a.clusterName === b.clusterName &&
    a.brokerName === b.brokerName &&
    a.brokerId === b.brokerId &&
    dutyOf(a) === dutyOf(b) &&
    a.version.epoch === b.version.epoch &&
    a.host === b.host &&
    a.port === b.port &&
    a.haPort === b.haPort
  );
}

function haAddress(table: Registration): string {
  if (table.haPort === 0 || table.host === "") return "";
  return formatAddress({ host: table.host, port: table.haPort });
}

function topicRow(topic: RegisteredTopic): cometmq.v1.ITopicConfig {
  return {
    name: topic.name,
    readQueues: topic.readQueueNums,
    writeQueues: topic.writeQueueNums,
    perm: topic.perm,
    messageType: topic.messageType,
    order: topic.order,
  };
}
