// A record of the log as a message with its place, for operators.
import { type cometmq, rocketmq, timestampOfMs } from "@cometmq/proto";
import { formatAddress } from "../../../base/index.ts";
import type { ServerCall } from "../../../transport/index.ts";
import { isQueued, type RecordView } from "../../store/index.ts";
import type { AdminContext } from "./admin-context.ts";

const { Message, SystemProperties } = rocketmq.v2;

/** The broker that holds a message. */
export interface BrokerPlace {
  readonly name: string;
  /** `host:port` */
  readonly host: string;
}

/** This broker as the caller reaches it. */
export function brokerAt(context: AdminContext, call: ServerCall): BrokerPlace {
  const { localAddress, localPort } = call.connection;
  return {
    name: context.config.values.brokerName,
    host: formatAddress({ host: localAddress, port: localPort }),
  };
}

/** The message in `record`, whose bytes are shared; it has no queue offset while it is held. Throws ProtoError when the stored properties are broken. */
export function storedMessage(record: RecordView, broker: BrokerPlace): cometmq.v1.IStoredMessage {
  const systemProperties = SystemProperties.decode(record.systemProperties);
  const queueOffset = isQueued(record.type) ? record.queueOffset : 0;
  Object.assign(systemProperties, {
    queueId: record.queueId,
    queueOffset,
    storeTimestamp: timestampOfMs(record.storeTimeMs),
    storeHost: broker.host,
  });
  const message = {
    topic: { name: record.topic },
    // The stored bytes are the entries of the map as fields of a message.
    userProperties: Message.decode(record.userProperties).userProperties,
    systemProperties,
    body: record.body,
  };
  return {
    message,
    position: record.position,
    size: record.size,
    queueId: record.queueId,
    queueOffset,
    storeTimeMs: record.storeTimeMs,
    storeHost: broker.host,
    brokerName: broker.name,
  };
}
