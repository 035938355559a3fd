// Configuration keys that every server process has: where it listens, TLS, metrics, log.
import { MqError } from "../errors.ts";
import { type LogLevel, logLevels } from "../logger.ts";
import type { ConfigTable } from "./configuration.ts";
import * as key from "./keys.ts";

/** How a port treats TLS: both kinds of clients, TLS only, or plaintext only. */
export type TlsMode = "permissive" | "enforcing" | "disabled";

/** Values that every server process has. */
export interface ProcessConfig {
  /** Empty = loopback only. */
  readonly bindAddress: string;
  /** 0 = any free port. */
  readonly metricsPromExporterPort: number;
  readonly "tls.server.mode": TlsMode;
  /** Empty = a self-signed certificate. */
  readonly tlsCertPath: string;
  readonly tlsKeyPath: string;
  readonly logLevel: LogLevel;
  readonly logFormat: "text" | "json";
}

/** Rows that every server process has. */
export const processKeys: ConfigTable<ProcessConfig> = {
  bindAddress: key.text({
    default: "",
    defaultText: "127.0.0.1, because nothing asks for a password",
    pattern: /^(?:[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}|)$/,
    allowed: "an IP address of this machine, 0.0.0.0 or :: for all",
    meaning:
      "Address that the ports listen on. Set it to let other machines in: they can then read and write everything.",
  }),
  metricsPromExporterPort: key.int({
    default: 5557,
    min: 0,
    max: 65_535,
    meaning: "HTTP port of /metrics, /healthz and /readyz. 0: any free one.",
  }),
  "tls.server.mode": key.oneOf({
    default: "permissive",
    values: ["permissive", "enforcing", "disabled"],
    meaning:
      "permissive takes TLS and plaintext on the same port, enforcing TLS only, disabled plaintext only.",
  }),
  tlsCertPath: key.path({
    default: "",
    defaultText: "a self-signed certificate",
    meaning: "Certificate chain in PEM; read again when the file changes.",
  }),
  tlsKeyPath: key.path({
    default: "",
    defaultText: "the key of the self-signed certificate",
    meaning: "Private key in PEM that belongs to tlsCertPath.",
  }),
  logLevel: key.oneOf({
    default: "info",
    values: logLevels,
    change: "live",
    meaning: "How much is logged.",
  }),
  logFormat: key.oneOf({
    default: "text",
    values: ["text", "json"],
    meaning: "text for people, json for one JSON object a line. The log goes to standard error.",
  }),
};

/** Refuses a certificate without its key, or a key without its certificate, with BAD_CONFIG. */
export function refuseHalfTls(values: ProcessConfig): void {
  if ((values.tlsCertPath === "") === (values.tlsKeyPath === "")) return;
  throw new MqError("BAD_CONFIG", "tlsCertPath and tlsKeyPath must both be set, or neither");
}

/** The address to listen on: loopback unless `bindAddress` says otherwise. */
export function listenHost(values: ProcessConfig): string {
  return values.bindAddress === "" ? "127.0.0.1" : values.bindAddress;
}
