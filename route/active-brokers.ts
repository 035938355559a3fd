// Which broker of each name routes lead to: the master of the newest reign, else the one that acts for it.
import type { Duty } from "./registration.ts";

/** A broker as far as this choice needs it. */
export interface Candidate {
  readonly brokerName: string;
  readonly brokerId: number;
  readonly duty: Duty;
  /** Its reign. */
  readonly epoch: number;
}

/** One broker a name, by name: no slaves, and of several reigns the newest. Stable for the same input, in any order. */
export function activeBrokers<B extends Candidate>(brokers: Iterable<B>): B[] {
  const chosen = new Map<string, B>();
  for (const broker of brokers) {
    if (broker.duty === "slave") continue;
    const other = chosen.get(broker.brokerName);
    if (other === undefined || goesBefore(broker, other)) chosen.set(broker.brokerName, broker);
  }
  return [...chosen.values()].sort((a, b) =>
    a.brokerName < b.brokerName ? -1 : a.brokerName > b.brokerName ? 1 : 0,
  );
}

/** Whether `a` rather than `b`, of the same name, is the one to go to. */
function goesBefore(a: Candidate, b: Candidate): boolean {
  if (a.duty !== b.duty) return a.duty === "master";
  return a.epoch === b.epoch ? a.brokerId < b.brokerId : a.epoch > b.epoch;
}
