// Registers a broker with the NameServer of the same process, without a network between them.
import type { Clock } from "../base/index.ts";
import type { LocalBroker } from "../nameserver/index.ts";
import type { NameServerStatus, Registrar } from "../registrar/index.ts";

/** A registrar over `local`; closes it. */
export function localRegistrar(local: LocalBroker, clock: Clock): Registrar {
  let status: NameServerStatus = {
    address: "in this process",
    state: "connecting",
    sinceMs: clock.now(),
    reason: "nothing published yet",
  };
  return {
    publish: (registration) => {
      const refusal = local.publish(registration);
      const state = refusal === undefined ? "registered" : "refused";
      const sinceMs = state === status.state ? status.sinceMs : clock.now();
      status = { ...status, state, sinceMs, reason: refusal ?? "" };
    },
    status: () => [status],
    close: async () => local.close(),
  };
}
