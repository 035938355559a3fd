// clusterList: the brokers that NameServers know.
import type { Command } from "../command.ts";
import { moment } from "../printing.ts";

export const clusterList: Command = {
  name: "clusterList",
  summary: "list clusters and their brokers",
  flags: {
    clusterName: { short: "c", type: "string", value: "NAME", about: "only this cluster" },
    moreStats: { short: "m", type: "boolean", about: "add message totals and rates" },
  },
  async run(flags, session) {
    const brokers = await session.brokers(flags.text("clusterName"));
    const more = flags.bool("moreStats") ?? false;
    const rows = await Promise.all(
      brokers.map(async (broker) => {
        if (!more) return broker;
        const status = await session.call(broker.address, session.admin.GetBrokerStatus, {});
        return {
          ...broker,
          putTotal: status.messagesPutTotal ?? 0,
          gotTotal: status.messagesGotTotal ?? 0,
          putTps: Math.round(status.putTps ?? 0),
          getTps: Math.round(status.getTps ?? 0),
        };
      }),
    );
    const columns = ["Cluster", "Broker", "Id", "Address", "Version", "Topics", "Last heartbeat"];
    return {
      json: rows,
      table: {
        columns: more ? [...columns, "In total", "Out total", "In/s", "Out/s"] : columns,
        rows: rows.map((row) => [
          row.cluster,
          row.name,
          row.id,
          row.address,
          row.softwareVersion,
          row.topicCount,
          moment(row.lastHeartbeatMs),
          ...("putTotal" in row ? [row.putTotal, row.gotTotal, row.putTps, row.getTps] : []),
        ]),
      },
    };
  },
};
