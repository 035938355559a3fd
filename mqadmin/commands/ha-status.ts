// haStatus: how the logs of a group's brokers stand to each other, as each of them sees it.
import { type Command, intervalFlag } from "../command.ts";
import { CommandFailure, PartialFailure, UsageFailure } from "../failure.ts";
import type { Flags } from "../flags.ts";
import { haLines, type ShownHa, shownHa, slaveTable } from "../ha-view.ts";
import { checkAddress, type Session } from "../session.ts";

export const haStatus: Command = {
  name: "haStatus",
  summary: "show replication: who copies whom, who is in sync, and what they are behind",
  flags: {
    brokerAddr: { short: "b", type: "string", value: "HOST:PORT", about: "only this broker" },
    clusterName: {
      short: "c",
      type: "string",
      value: "NAME",
      about: "all brokers of this cluster (of all clusters when neither is given)",
    },
    ...intervalFlag,
  },
  async run(flags, session) {
    const all: ShownHa[] = [];
    const failures: string[] = [];
    const addresses = await wanted(flags, session);
    for (const address of addresses) {
      try {
        const { ha } = await session.call(address, session.admin.GetHaStatus, {});
        all.push(shownHa(address, ha ?? {}));
      } catch (error) {
        if (!(error instanceof CommandFailure) || addresses.length === 1) throw error;
        failures.push(error.message);
      }
    }
    const answer = { json: all, lines: all.flatMap(haLines), table: slaveTable(all) };
    if (failures.length === 0) return answer;
    throw new PartialFailure(failures.join("\n"), answer);
  },
};

async function wanted(flags: Flags, session: Session): Promise<readonly string[]> {
  const address = flags.text("brokerAddr");
  const cluster = flags.text("clusterName");
  if (address !== undefined && cluster !== undefined) {
    throw new UsageFailure("give --brokerAddr or --clusterName, not both");
  }
  if (address !== undefined) return [checkAddress(address, "--brokerAddr")];
  const brokers = await session.brokers(cluster);
  if (brokers.length > 0) return brokers.map((broker) => broker.address);
  const clusters = [...new Set((await session.brokers()).map((broker) => broker.cluster))];
  throw new CommandFailure(
    `no broker is registered${cluster === undefined ? "" : ` in cluster ${cluster}`}. Clusters: ${clusters.join(", ") || "none"}`,
  );
}
