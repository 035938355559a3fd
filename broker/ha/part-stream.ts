// A run of parts on a channel: sends it, and reads it to its end, whole or not at all.
import { limits, MqError } from "../../base/index.ts";
import type { Channel } from "./channel.ts";
import { partChecksum } from "./frames.ts";

/** Sends all parts and their end; waits while the other side is slow. Ends early when the link does. */
export async function sendParts(
  channel: Channel,
  parts: AsyncIterable<Buffer> | Iterable<Buffer>,
): Promise<void> {
  let count = 0;
  let checksum = 0;
  for await (const bytes of parts) {
    if (channel.endReason !== undefined) return;
    channel.send({ kind: "part", bytes });
    checksum = partChecksum(checksum, bytes);
    count += 1;
    if (channel.link.waitingBytes > limits.haSendBufferSize) await channel.link.drained();
  }
  channel.say({ kind: "partsEnd", count, checksum });
}

/** The parts, to their end. Rejects HA_NOT_AVAILABLE when the link ends before, BAD_REQUEST when they are not whole. */
export async function* partBytes(channel: Channel): AsyncGenerator<Buffer> {
  let count = 0;
  let checksum = 0;
  for (;;) {
    const frame = await channel.next();
    if (frame.kind === "part") {
      checksum = partChecksum(checksum, frame.bytes);
      count += 1;
      yield frame.bytes;
      continue;
    }
    if (frame.kind === "control" && frame.message.kind === "partsEnd") {
      if (frame.message.count === count && frame.message.checksum === checksum) return;
    }
    throw new MqError("BAD_REQUEST", `${channel.link.peer}: the parts have not come whole`);
  }
}
