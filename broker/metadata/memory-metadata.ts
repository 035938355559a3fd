// Topics and groups without a log behind them: for tests and simulations of what only reads them.
import type { Clock, Random } from "../../base/index.ts";
import { Metadata } from "./metadata.ts";
import type { MetadataChange } from "./metadata-codec.ts";

/** Tables whose changes are in force at once and gone with the process. Has a receipt-handle key already. */
export function memoryMetadata(options: {
  readonly clock: Clock;
  readonly random: Random;
}): Metadata {
  let changeCount = 0;
  const metadata = new Metadata({
    clock: options.clock,
    append: async (change: MetadataChange) => metadata.apply(change, changeCount++),
  });
  metadata.apply({ kind: "macKey", key: options.random.bytes(32) }, changeCount++);
  return metadata;
}
