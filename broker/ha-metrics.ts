// What replication shows at scrape: the role, and how far the slaves, or this slave, are behind.
import type { Metrics, SetSample } from "../ops/index.ts";
import type { HaPort, HaStanding } from "./remoting/index.ts";

const standings: readonly HaStanding[] = ["master", "acting", "slave", "none"];

/** Adds the metrics of replication. */
export function haMetrics(metrics: Metrics, ha: Pick<HaPort, "status">): void {
  const gauge = (
    name: string,
    help: string,
    read: (set: SetSample) => void,
    labelNames: readonly string[] = [],
  ): void => metrics.sampled("gauge", { name: `cometmq_ha_${name}`, help, labelNames }, read);
  gauge(
    "standing",
    "1 for what this broker is in its group, 0 for what it is not.",
    (set) => {
      const { standing } = ha.status();
      for (const kind of standings) set({ standing: kind }, kind === standing ? 1 : 0);
    },
    ["standing"],
  );
  gauge("epoch", "Reign that the newest record of the log belongs to.", (set) =>
    set({}, ha.status().epoch),
  );
  gauge(
    "slave_in_sync",
    "Of a master: 1 for each slave whose acknowledgement counts, 0 for each other one it has known.",
    (set) => {
      for (const { brokerId, isInSync } of ha.status().slaves) {
        set({ broker_id: brokerId }, isInSync ? 1 : 0);
      }
    },
    ["broker_id"],
  );
  gauge(
    "slave_lag_bytes",
    "Of a master: bytes of the log that a connected slave has not written yet.",
    (set) => {
      for (const { brokerId, lag, connectedSinceMs } of ha.status().slaves) {
        if (connectedSinceMs !== undefined) set({ broker_id: brokerId }, lag.bytes);
      }
    },
    ["broker_id"],
  );
  gauge("master_connected", "Of a slave: 1 while it copies its master's log, else 0.", (set) => {
    const { master, standing } = ha.status();
    if (standing !== "master") set({}, master?.connectedSinceMs === undefined ? 0 : 1);
  });
  gauge("master_lag_bytes", "Of a slave: bytes of its master's log that it lacks.", (set) => {
    const { master } = ha.status();
    if (master?.connectedSinceMs !== undefined) set({}, master.lag.bytes);
  });
}
