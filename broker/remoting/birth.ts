// born_timestamp and born_host for messages of senders that gave none: C# cannot read a message without them.
import { rocketmq, timestampOfMs } from "@cometmq/proto";
import type { Connection } from "../../transport/index.ts";

/**
 * The system properties with time and place of birth appended; protobuf reads them as one message.
 * A born_host that the sender gave without a timestamp is replaced. The result is the caller's.
 */
export function withBirth(
  systemProperties: Uint8Array,
  nowMs: number,
  connection: Connection,
): Uint8Array {
  const birth = rocketmq.v2.SystemProperties.encode({
    bornTimestamp: timestampOfMs(nowMs),
    bornHost: connection.remoteAddress,
  }).finish();
  return Buffer.concat([systemProperties, birth]);
}
