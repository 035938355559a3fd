// Asks a producer how a transaction ended: a command on its telemetry stream, with all of the message. Its answer is an
// EndTransaction, of this producer or of another one.
import { messagingService, rocketmq, timestampOfMs } from "@cometmq/proto";
import type { ClientTable } from "../clients/index.ts";
import type { Orphan, Producers } from "../transactions/index.ts";
import { md5Digest } from "./body-digest.ts";
import { messageFlags } from "./message-flags.ts";
import { okStatus } from "./unary.ts";

const { response } = messagingService.methods.Telemetry;

/** The producers among `clients`: those with a telemetry stream whose settings name the topic, each in its turn. */
export function orphanedTransactions(
  clients: Pick<ClientTable, "hasProducer" | "tellProducer">,
): Producers {
  return {
    canAsk: (topic) => clients.hasProducer(topic),
    ask: (orphan) => clients.tellProducer(orphan.topic, commandOf(orphan)),
  };
}

/** `RecoverOrphanedTransactionCommand`. */
function commandOf({ topic, transactionId, record }: Orphan): Uint8Array {
  const { body, flags } = record;
  const systemProperties = rocketmq.v2.SystemProperties.decode(record.systemProperties);
  if ((flags & messageFlags.bodyDigestMissing) !== 0) systemProperties.bodyDigest = md5Digest(body);
  systemProperties.storeTimestamp = timestampOfMs(record.storeTimeMs);
  systemProperties.deliveryAttempt = 1;
  // Rust wants one in every message that it reads. It settles nothing.
  systemProperties.receiptHandle = transactionId;
  const { userProperties } = rocketmq.v2.Message.decode(record.userProperties);
  const message = { topic: { name: topic }, userProperties, systemProperties, body };
  return response.encode({
    status: okStatus,
    recoverOrphanedTransactionCommand: { message, transactionId },
  });
}
