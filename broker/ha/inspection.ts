// Asks another broker of the group who it is and where its log stands, and takes an overlay from it.
import { type Address, type Clock, limits, MqError } from "../../base/index.ts";
import { decodeProgress } from "../metadata/index.ts";
import { Channel } from "./channel.ts";
import type { Identity, LogExtent, Purpose, Welcome } from "./control-messages.ts";
import type { Network } from "./network.ts";
import { NotedProgress } from "./progress-merge.ts";

/** Who asks, and over what. */
export interface Asker {
  readonly network: Network;
  readonly clock: Clock;
  readonly identity: Identity;
  readonly extent: LogExtent;
}

/** What the broker at `address` says of itself. Rejects when it does not answer in time. */
export async function inspect(asker: Asker, address: Address): Promise<Welcome> {
  const { channel, welcome } = await greet(asker, address, "inspect");
  channel.close("that was all");
  return welcome;
}

/**
 * Takes the overlay of the broker at `address`: `keep` makes it durable here, and then it is forgotten there. Rejects,
 * and it is kept there, when anything goes wrong.
 */
export async function takeOverlay(
  asker: Asker,
  address: Address,
  keep: (noted: NotedProgress) => Promise<void>,
): Promise<void> {
  const { channel } = await greet(asker, address, "overlay");
  try {
    const noted = new NotedProgress();
    for (let count = 0; ; count += 1) {
      const frame = await channel.next();
      if (frame.kind === "part") {
        for (const change of decodeProgress(frame.bytes)) noted.add(change);
        continue;
      }
      const isEnd = frame.kind === "control" && frame.message.kind === "partsEnd";
      if (isEnd && frame.message.count === count) break;
      throw new MqError("BAD_REQUEST", `${channel.link.peer}: the overlay has not come whole`);
    }
    await keep(noted);
    channel.say({ kind: "overlayTaken" });
    await channel.expect("overlayTaken");
  } finally {
    channel.close("that was all");
  }
}

async function greet(
  asker: Asker,
  address: Address,
  purpose: Purpose,
): Promise<{ readonly channel: Channel; readonly welcome: Welcome }> {
  const { network, clock, identity, extent } = asker;
  const timeout = new AbortController();
  const cancel = clock.after(limits.haHandshakeMs, () => timeout.abort(), { unref: true });
  try {
    const channel = new Channel(await network.connect(address, timeout.signal), clock);
    channel.say({ kind: "hello", ...identity, ...extent, purpose });
    return { channel, welcome: await channel.expect("welcome") };
  } finally {
    cancel();
  }
}
