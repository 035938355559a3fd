// Topics and groups without a log behind them: for tests and simulations of what only reads them.
import type { Clock, Random } from "../../base/index.ts";
import { Metadata, type MetadataOptions } from "./metadata.ts";
import type { MetadataChange } from "./metadata-codec.ts";

/** Tables whose changes are in force at once and gone with the process. Has a receipt-handle key already. */
export function memoryMetadata(
  options: Pick<MetadataOptions, "topicCountMax" | "groupCountMax"> & {
    readonly clock: Clock;
    readonly random: Random;
  },
): Metadata {
  let version = 0;
  const metadata = new Metadata({
    ...options,
    queueEnds: () => [],
    append: async (change: MetadataChange) => metadata.apply(change, ++version),
  });
  metadata.apply({ kind: "macKey", key: options.random.bytes(32) }, ++version);
  return metadata;
}
