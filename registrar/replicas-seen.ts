// The union of what NameServers say of the brokers of one name. Pure.
import type { ReplicaSeen } from "./registrar.ts";

/** One entry a broker, by id: of several reports of a broker the one of the newest reign counts. */
export function joinReplicas(reports: readonly ReplicaSeen[]): readonly ReplicaSeen[] {
  const joined = new Map<number, ReplicaSeen>();
  for (const report of reports) {
    const known = joined.get(report.brokerId);
    if (known === undefined) {
      joined.set(report.brokerId, report);
      continue;
    }
    const newer = report.epoch > known.epoch ? report : known;
    const nameServers = [...new Set([...known.nameServers, ...report.nameServers])];
    joined.set(report.brokerId, { ...newer, nameServers });
  }
  return [...joined.values()].sort((a, b) => a.brokerId - b.brokerId);
}

/** The masters among them, the newest reign first. */
export function mastersOf(replicas: readonly ReplicaSeen[]): readonly ReplicaSeen[] {
  return replicas.filter(({ duty }) => duty === "master").sort((a, b) => b.epoch - a.epoch);
}

/** Whether two lists say the same. */
export function sameReplicas(a: readonly ReplicaSeen[], b: readonly ReplicaSeen[]): boolean {
  return a.length === b.length && JSON.stringify(a) === JSON.stringify(b);
}
