// A change of a group on a topic: asked of every master that holds the topic, and what one refuses does not keep it from
// the others.
import type { FlagSpec } from "./command.ts";
import { type Master, type Outcomes, onEach } from "./each-master.ts";
import { CommandFailure, UsageFailure } from "./failure.ts";
import type { Flags } from "./flags.ts";
import { checkAddress, type RouteEntry, type Session } from "./session.ts";

/** Flags that say for which masters of the topic; all when none is given. */
export const topicMasterFlags: Readonly<Record<string, FlagSpec>> = {
  brokerAddr: { short: "b", type: "string", value: "HOST:PORT", about: "only on this broker" },
  clusterName: {
    short: "c",
    type: "string",
    value: "NAME",
    about: "only on brokers of this cluster",
  },
};

/**
 * Does `act` at every master of `topic` that the flags name. Broker names of the topic that have no master now count as
 * failed. Throws what `act` throws when there is but one.
 */
export async function onMastersOf<T>(
  session: Session,
  wish: { readonly flags: Flags; readonly topic: string },
  act: (master: Master) => Promise<T>,
): Promise<Outcomes<T>> {
  const { masters, orphans } = await mastersOf(session, wish);
  const failure = "has no master now; give the command for it alone when one is back";
  const missing = orphans.map((broker) => ({ broker, failure }));
  return await onEach(masters, act, missing);
}

async function mastersOf(
  session: Session,
  { flags, topic }: { readonly flags: Flags; readonly topic: string },
): Promise<{ readonly masters: readonly Master[]; readonly orphans: readonly string[] }> {
  const address = flags.text("brokerAddr");
  const cluster = flags.text("clusterName");
  if (address !== undefined && cluster !== undefined) {
    throw new UsageFailure("give --brokerAddr or --clusterName, not both");
  }
  if (address !== undefined) {
    const checked = checkAddress(address, "--brokerAddr");
    return { masters: [{ name: address, address: checked }], orphans: [] };
  }
  const route = (await session.route(topic)).filter(
    (entry) => cluster === undefined || entry.cluster === cluster,
  );
  if (route.length === 0) {
    throw new CommandFailure(`topic ${topic} is on no broker of cluster ${cluster ?? ""}`);
  }
  const masters = new Map<string, RouteEntry>();
  for (const entry of route) if (entry.duty === "master") masters.set(entry.broker, entry);
  const names = [...new Set(route.map(({ broker }) => broker))];
  return {
    masters: [...masters].map(([name, entry]) => ({ name, address: entry.address })),
    orphans: names.filter((name) => !masters.has(name)),
  };
}
