// Asks another broker of the group who it is and where its log stands, and takes an overlay from it.
import { type Address, type Clock, limits } from "../../base/index.ts";
import { decodeProgress } from "../metadata/index.ts";
import { Channel, RefusedError } from "./channel.ts";
import type { Identity, LogExtent, Purpose, Welcome } from "./control-messages.ts";
import { commonPoint } from "./log-fork.ts";
import { proofOf, type ReplicatedStore } from "./log-source.ts";
import type { Network } from "./network.ts";
import { partBytes } from "./part-stream.ts";
import { NotedProgress } from "./progress-merge.ts";

/** Who asks, and over what. */
export interface Asker {
  readonly network: Network;
  readonly clock: Clock;
  readonly identity: Identity;
  readonly extent: LogExtent;
  readonly isFlushing: boolean;
  readonly flushed: number;
}

/** What another broker says of itself, and whether its log is the same as the own one as far as both should have it. */
export interface Inspected {
  readonly welcome: Welcome;
  readonly agrees: boolean;
}

/** Asks the broker at `address`. Rejects when it does not answer in time. */
export async function inspect(
  asker: Asker,
  address: Address,
  store: ReplicatedStore,
): Promise<Inspected> {
  const { channel, welcome } = await greet(asker, address, "inspect");
  try {
    const found = commonPoint(asker.extent, welcome);
    if (found.kind !== "common") return { welcome, agrees: true };
    const { position } = found;
    const from = Math.max(asker.extent.start, welcome.start, position - limits.haProofSize);
    channel.say(await proofOf(store, Math.min(from, position), position));
    await channel.expect("begin");
    return { welcome, agrees: true };
  } catch (error) {
    if (error instanceof RefusedError && error.refusal.code === "diverged") {
      return { welcome, agrees: false };
    }
    throw error;
  } finally {
    channel.close("that was all");
  }
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
    for await (const part of partBytes(channel)) {
      for (const change of decodeProgress(part)) noted.add(change);
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
  const { network, clock, identity, extent, isFlushing, flushed } = asker;
  const timeout = new AbortController();
  const cancel = clock.after(limits.haHandshakeMs, () => timeout.abort(), { unref: true });
  try {
    const channel = new Channel(await network.connect(address, timeout.signal), clock);
    channel.say({ kind: "hello", ...identity, ...extent, purpose, isFlushing, flushed });
    return { channel, welcome: await channel.expect("welcome") };
  } finally {
    cancel();
  }
}
