// Where a broker name is served, as this broker knows it.
import { formatAddress } from "../../base/index.ts";
import type { BrokerSeen, RegisteredTopic, TopicHolder } from "../../registrar/index.ts";

/** The broker that serves a broker name now: its master, or who acts for it. */
export interface Place {
  readonly brokerName: string;
  readonly brokerId: number;
  /** This very broker: `address` is empty then. */
  readonly isOwn: boolean;
  /** `host:port` that this broker dials. */
  readonly address: string;
  /** What it advertises; empty = `observedHost`. */
  readonly host: string;
  readonly observedHost: string;
  readonly port: number;
  /** False while it acts for its master: it gives messages and takes none. */
  readonly canSend: boolean;
}

/** A place of a topic. */
export interface TopicPlace extends Place {
  readonly topic: RegisteredTopic;
}

const writeBit = 2;

/** Whether messages may be sent to this place. */
export function isWritable({ canSend, topic }: TopicPlace): boolean {
  return canSend && (topic.perm & writeBit) !== 0 && topic.writeQueueNums > 0;
}

/** The place of a broker that a NameServer names. */
export function placeOf(broker: BrokerSeen): Place {
  const { brokerName, brokerId, host, observedHost, port, duty } = broker;
  const address = formatAddress({ host: host === "" ? observedHost : host, port });
  const canSend = duty === "master";
  return { brokerName, brokerId, isOwn: false, address, host, observedHost, port, canSend };
}

/** The place of a topic that a NameServer names. */
export function topicPlaceOf(holder: TopicHolder): TopicPlace {
  return { ...placeOf(holder), topic: holder.topic };
}
