// What NameServers have said to one question, and what follows from it when some of them are silent, new, or behind.
// docs/cluster.md. Pure but for the memory itself.
import { limits } from "../../base/index.ts";
import type { BrokerSeen, NameServerAnswer } from "../../registrar/index.ts";
import { activeBrokers } from "../../route/index.ts";

interface Remembered<Seen extends BrokerSeen> {
  readonly brokers: readonly Seen[];
  readonly isSettled: boolean;
  readonly heardAtMs: number;
}

/** The answers to one question, by NameServer. */
export class NameServerMemory<Seen extends BrokerSeen> {
  readonly #answers = new Map<string, Remembered<Seen>>();

  /** Takes an answer. A young NameServer takes nothing back that it has said before it was started anew. */
  hear(answer: NameServerAnswer<Seen>, nowMs: number): void {
    const { address, brokers, isSettled } = answer;
    const before = isSettled ? [] : (this.#answers.get(address)?.brokers ?? []);
    const missing = before.filter((old) => !brokers.some((broker) => isSame(broker, old)));
    this.#answers.set(address, {
      brokers: [...brokers, ...missing],
      isSettled,
      heardAtMs: nowMs,
    });
  }

  /**
   * One broker a name, by name. `askedAtMs`: when all were asked last. Who has answered since counts; what a silent one
   * said before fills gaps, for a while when a settled one has answered, and for ever when none has.
   */
  active(askedAtMs: number): readonly Seen[] {
    const answers = [...this.#answers.values()];
    const fresh = answers.filter(({ heardAtMs }) => heardAtMs >= askedAtMs);
    const isTold = fresh.some(({ isSettled }) => isSettled);
    const kept = answers.filter(
      ({ heardAtMs }) =>
        heardAtMs < askedAtMs && (!isTold || askedAtMs - heardAtMs < limits.clusterMemoryMs),
    );
    const told = activeBrokers(fresh.flatMap(({ brokers }) => brokers));
    const names = new Set(told.map(({ brokerName }) => brokerName));
    const gaps = kept.flatMap(({ brokers }) => brokers);
    return activeBrokers([...told, ...gaps.filter(({ brokerName }) => !names.has(brokerName))]);
  }
}

function isSame(a: BrokerSeen, b: BrokerSeen): boolean {
  return a.brokerName === b.brokerName && a.brokerId === b.brokerId;
}
