// haStatus: how the logs of a group's brokers stand to each other, as each of them sees it.
import { type Command, intervalFlag } from "../command.ts";
import { onEach } from "../each-master.ts";
import { CommandFailure, PartialFailure, UsageFailure } from "../failure.ts";
import type { Flags } from "../flags.ts";
import { haLines, shownHa, slaveTable } from "../ha-view.ts";
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
    const brokers = (await wanted(flags, session)).map((address) => ({ name: address, address }));
    const { done, failed } = await onEach(brokers, async ({ address }) => {
      const { ha } = await session.call(address, session.admin.GetHaStatus, {});
      return shownHa(address, ha ?? {});
    });
    const answer = { json: done, lines: done.flatMap(haLines), table: slaveTable(done) };
    if (failed.length === 0) return answer;
    throw new PartialFailure(failed.map(({ failure }) => failure).join("\n"), answer);
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
