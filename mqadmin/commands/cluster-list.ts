// clusterList: the brokers that NameServers know, and what each says of its part in its group.
import type { cometmq } from "@cometmq/proto";
import { type Command, intervalFlag } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import { moment } from "../printing.ts";
import type { ListedBroker, Session } from "../session.ts";

const columns: readonly string[] = [
  "Cluster",
  "Broker",
  "Id",
  "Role",
  "In sync",
  "Behind bytes",
  "Address",
  "Version",
  "Topics",
  "Last heartbeat",
];
const moreColumns: readonly string[] = ["In total", "Out total", "In/s", "Out/s"];

export const clusterList: Command = {
  name: "clusterList",
  summary: "list clusters and their brokers, with role and what each is behind",
  flags: {
    clusterName: { short: "c", type: "string", value: "NAME", about: "only this cluster" },
    moreStats: { short: "m", type: "boolean", about: "add message totals and rates" },
    ...intervalFlag,
  },
  async run(flags, session) {
    const brokers = await session.brokers(flags.text("clusterName"));
    const more = flags.bool("moreStats") ?? false;
    const asked = await Promise.all(brokers.map((broker) => ask(session, broker)));
    const rows = asked.map((one) => shownBroker(one, asked, more));
    const silent = asked.flatMap(({ failure }) => (failure === undefined ? [] : [failure]));
    return {
      json: rows,
      lines: silent,
      table: {
        columns: more ? [...columns, ...moreColumns] : columns,
        rows: rows.map((row) => [
          row.cluster,
          row.name,
          row.id,
          row.role,
          row.inSync === null ? "-" : row.inSync ? "yes" : "NO",
          row.behindBytes ?? "-",
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

/** A listed broker with what it says; a broker that does not answer keeps what the NameServers say. */
interface Asked {
  readonly broker: ListedBroker;
  readonly status?: cometmq.v1.IGetBrokerStatusResponse;
  readonly failure?: string;
}

async function ask(session: Session, broker: ListedBroker): Promise<Asked> {
  try {
    const status = await session.call(broker.address, session.admin.GetBrokerStatus, {});
    return { broker, status };
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error;
    return { broker, failure: `${broker.name} id ${broker.id}: ${error.message}` };
  }
}

function shownBroker({ broker, status }: Asked, all: readonly Asked[], more: boolean) {
  const { duty, ...listed } = broker;
  const ha = status?.ha;
  const role = status?.role || duty;
  const row = {
    ...listed,
    role,
    inSync: role === "master" ? true : inSyncAtMaster(broker, all),
    // Without a master there is nothing to be behind.
    behindBytes: role === "master" ? 0 : (ha?.master?.lagBytes ?? null),
    behindMessages: role === "master" ? 0 : (ha?.master?.lagMessages ?? null),
    behindMs: role === "master" ? 0 : (ha?.master?.lagMs ?? null),
  };
  if (!more) return row;
  return {
    ...row,
    putTotal: status?.messagesPutTotal ?? 0,
    gotTotal: status?.messagesGotTotal ?? 0,
    putTps: Math.round(status?.putTps ?? 0),
    getTps: Math.round(status?.getTps ?? 0),
  };
}

/** What the master of its group says of a broker; null when there is none, or it does not know it. */
function inSyncAtMaster(broker: ListedBroker, all: readonly Asked[]): boolean | null {
  const master = all.find(
    (one) => one.broker.name === broker.name && one.status?.role === "master",
  );
  const slave = master?.status?.ha?.slaves?.find(({ brokerId }) => brokerId === broker.id);
  return slave?.inSync ?? null;
}
