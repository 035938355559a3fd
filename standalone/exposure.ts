// Says loudly who can reach a server that asks nobody for a password.
import type { Logger, ProcessConfig } from "../base/index.ts";

/** Warns once at start: either only this machine can connect, or everybody can do everything. */
export function warnOfExposure(values: ProcessConfig, logger: Logger): void {
  if (values.bindAddress === "") {
    logger.warn(
      "LISTENING ON LOOPBACK ONLY, because nobody is asked for a password: other machines cannot connect; set bindAddress (0.0.0.0 for all addresses) to let them in",
    );
  } else if (!/^(?:127\.|::1$|localhost$)/.test(values.bindAddress)) {
    logger.warn(
      "NOBODY IS ASKED FOR A PASSWORD: whoever reaches this address can read, write and delete everything",
      { bindAddress: values.bindAddress },
    );
  }
}
