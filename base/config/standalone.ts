// The configuration table of the standalone process: a broker's, with a NameServer in the same process.
import { resolve } from "node:path";
import { type BrokerConfig, brokerKeys, finishBroker } from "./broker.ts";
import type { ConfigRole, ConfigTable } from "./configuration.ts";
import * as key from "./keys.ts";

/** Values of a standalone process. */
export interface StandaloneConfig extends BrokerConfig {
  /** 0 = any free port. */
  readonly namesrvPort: number;
  /** Data in a temporary folder that is removed at the end. */
  readonly ephemeral: boolean;
}

/** Rows of a standalone process, in the order of help and docs. */
export const standaloneKeys: ConfigTable<StandaloneConfig> = {
  ephemeral: key.boolean({
    default: false,
    meaning: "Keep the data in a temporary folder and remove it at the end.",
  }),
  namesrvPort: key.int({
    default: 9876,
    min: 0,
    max: 65_535,
    meaning: "Port of the NameServer in this process. 0: any free one.",
  }),
  ...brokerKeys,
  brokerName: { ...brokerKeys.brokerName, default: "broker-a", defaultText: "broker-a" },
  namesrvAddr: key.addresses({
    default: [],
    meaning: "Further NameServers to register with, beside the one in this process.",
  }),
  storePathRootDir: key.path({
    default: resolve("data"),
    defaultText: "./data",
    meaning: "Data folder.",
  }),
  autoCreateTopicEnable: {
    ...brokerKeys.autoCreateTopicEnable,
    default: true,
    defaultText: "true",
  },
};

/** The role of bin/cometmq. */
export const standaloneRole: ConfigRole<StandaloneConfig> = {
  name: "standalone",
  keys: standaloneKeys,
  finish: finishBroker,
};
