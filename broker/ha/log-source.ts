// The log of this broker as replication reads it, and what a link says of it.
import { createHash } from "node:crypto";
import { MqError } from "../../base/index.ts";
import type { Store } from "../store/index.ts";
import type { LogExtent, Proof } from "./control-messages.ts";

/** A store as replication uses it. */
export type ReplicatedStore = Pick<
  Store,
  | "start"
  | "end"
  | "written"
  | "flushed"
  | "durable"
  | "confirmed"
  | "epoch"
  | "epochs"
  | "newestMs"
  | "readLog"
  | "onProgress"
  | "messageCount"
  | "failure"
>;

/** Which part of the common log a store has. Only what is in its files counts. */
export function extentOf(store: ReplicatedStore): LogExtent {
  const end = store.written;
  const epochs = store.epochs
    .filter(({ position }) => position < end)
    .map(({ epoch, position }) => ({ epoch, start: position as number }));
  return { epochs, start: store.start, end };
}

/** A hash of the bytes `[from, position)`, which the store has. */
export async function proofOf(
  store: ReplicatedStore,
  from: number,
  position: number,
): Promise<Proof> {
  const hash = createHash("sha256");
  for (let at = from; at < position; ) {
    const bytes = await store.readLog(at, { sizeMax: position - at });
    if (bytes === undefined || bytes.length === 0) {
      throw new MqError("HA_NOT_AVAILABLE", `the log has nothing at position ${at} any more`);
    }
    hash.update(bytes);
    at += bytes.length;
  }
  return { kind: "proof", position, from, hash: hash.digest("hex") };
}
