// The network that brokers of a group use, as the configuration wants it.
import { join } from "node:path";
import type { BrokerConfiguration, Clock, Logger, Random } from "../base/index.ts";
import { loadPair, readCertificates } from "../transport/index.ts";
import { type Network, TcpNetwork } from "./ha/index.ts";

/** Plain TCP, or TLS when haTlsEnable is on; guarded by haSecret. Rejects BAD_CONFIG for certificates that are of no use. */
export async function replicationNetwork(options: {
  readonly config: BrokerConfiguration;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}): Promise<Network> {
  const { config, clock, random, logger } = options;
  const { haSecret, haTlsEnable, haTlsCaPath, tlsCertPath, tlsKeyPath, storePathRootDir } =
    config.values;
  const parts = { clock, random, logger: logger.child("replication"), secret: haSecret };
  if (!haTlsEnable) return new TcpNetwork(parts);
  const pair = await loadPair(
    tlsCertPath === ""
      ? { kind: "selfSigned", folder: join(storePathRootDir, "tls") }
      : { kind: "files", certificateFile: tlsCertPath, keyFile: tlsKeyPath },
    clock.now(),
  );
  const ca = haTlsCaPath === "" ? undefined : await readCertificates(haTlsCaPath);
  return new TcpNetwork({ ...parts, tls: () => ({ ...pair, ca }) });
}
