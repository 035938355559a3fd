// A connected client as operators see it.
import type { cometmq } from "@cometmq/proto";
import type { ClientRow } from "../../clients/index.ts";

/** The client in the form of cometmq.v1. `reads`: queues that it was given to read. */
export function clientFields(
  client: ClientRow,
  reads: readonly cometmq.v1.IReadQueue[] = [],
): cometmq.v1.IConnectedClient {
  return {
    clientId: client.clientId,
    address: client.address,
    language: client.language,
    version: client.version,
    clientType: client.type,
    subscriptions: client.subscriptions.map(({ topic, filterType, expression }) => ({
      topic: { name: topic },
      expression: { type: filterType, expression },
    })),
    topics: client.topics,
    sinceMs: client.sinceMs,
    lastHeartbeatMs: client.lastSeenMs,
    hostname: client.hostname,
    reads: [...reads],
  };
}
