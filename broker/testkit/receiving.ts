// What a consumer of group "g" gets of topic "t" from a broker that serves.
import assert from "node:assert/strict";
import { type Delivered, matchAll } from "../delivery/index.ts";
import type { LocalParts } from "../replica.ts";

/** Receives what is there, of all queues, 32 messages at most unless `countMax` says otherwise; waits for none by default. */
export async function receive(
  { delivery, metadata }: LocalParts,
  options: {
    readonly invisibleMs: number;
    readonly countMax?: number;
    readonly pollingMs?: number;
  },
): Promise<readonly Delivered[]> {
  const [group, topic] = [metadata.group("g"), metadata.topic("t")];
  assert.ok(group !== undefined && topic !== undefined);
  return await delivery.receive({
    group,
    topic,
    queueId: -1,
    countMax: 32,
    autoRenew: false,
    filter: matchAll,
    clientId: "client",
    pollingMs: 0,
    signal: new AbortController().signal,
    isClientGone: () => false,
    ...options,
  });
}
