// A broker inside the test process, on free ports and in a folder of its own that goes with it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  brokerRole,
  Configuration,
  silentLogger,
  systemClock,
  systemRandom,
} from "../../base/index.ts";
import { Broker, type BrokerOptions } from "../../broker/index.ts";
import { nodeDisk } from "../../broker/store/index.ts";

/** A running broker and its address. */
export interface BrokerFixture {
  readonly broker: Broker;
  readonly endpoints: string;
  /** Closes the broker and opens it again on the same folder; the port is another one. */
  restart(): Promise<BrokerFixture>;
  /** Closes it and removes the folder. */
  close(): Promise<void>;
}

/** What a broker may stand on in place of the usual. */
export type BrokerParts = Partial<Pick<BrokerOptions, "bounds" | "disk" | "clock" | "logger">>;

/** Starts one. `flags` are configuration keys. */
export async function startBroker(
  flags: Readonly<Record<string, string>> = {},
  parts: BrokerParts = {},
): Promise<BrokerFixture> {
  const folder = await mkdtemp(join(tmpdir(), "cometmq-e2e-"));
  return await openIn(folder, flags, parts);
}

async function openIn(
  folder: string,
  flags: Readonly<Record<string, string>>,
  parts: BrokerParts,
): Promise<BrokerFixture> {
  const config = Configuration.load(brokerRole, {
    flags: {
      storePathRootDir: folder,
      grpcServerPort: "0",
      metricsPromExporterPort: "0",
      haListenPort: "0",
      brokerName: "broker-a",
      autoCreateTopicEnable: "true",
      mappedFileSizeCommitLog: "64m",
      ...flags,
    },
  });
  const broker = await Broker.open({
    config,
    clock: systemClock,
    random: systemRandom,
    disk: nodeDisk,
    logger: silentLogger,
    ...parts,
  });
  return {
    broker,
    endpoints: `127.0.0.1:${broker.grpcPort}`,
    restart: async () => {
      await broker.close();
      return await openIn(folder, flags, parts);
    },
    close: async () => {
      await broker.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
