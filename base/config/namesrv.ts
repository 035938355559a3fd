// The configuration table of a NameServer.
import { MqError } from "../errors.ts";
import type { ConfigRole, ConfigTable } from "./configuration.ts";
import * as key from "./keys.ts";
import { type ProcessConfig, processKeys, refuseHalfTls } from "./process.ts";

/** Values of a NameServer. Names and units are those of the file; the table says what each means. */
export interface NamesrvConfig extends ProcessConfig {
  /** 0 = any free port. */
  readonly listenPort: number;
}

/** Rows of a NameServer, in the order of help and docs. */
export const namesrvKeys: ConfigTable<NamesrvConfig> = {
  listenPort: key.int({
    default: 9876,
    min: 0,
    max: 65_535,
    meaning: "Port for brokers, clients and operators. 0: any free one.",
  }),
  ...processKeys,
  metricsPromExporterPort: key.int({
    default: 5558,
    min: 0,
    max: 65_535,
    meaning: "HTTP port of /metrics, /healthz and /readyz. 0: any free one.",
  }),
};

/** The role of bin/mqnamesrv. */
export const namesrvRole: ConfigRole<NamesrvConfig> = {
  name: "namesrv",
  keys: namesrvKeys,
  finish: (values) => {
    refuseHalfTls(values);
    if (values["tls.server.mode"] === "enforcing") {
      throw new MqError(
        "BAD_CONFIG",
        "tls.server.mode enforcing is not possible for a NameServer: brokers register without TLS in this version",
      );
    }
    return values;
  },
};
