// A call to several brokers: each is asked, and what one refuses does not keep it from the others. What was done and what
// was not is told for each.
import type { Answer } from "./answer.ts";
import { CommandFailure, PartialFailure } from "./failure.ts";
import type { Flags } from "./flags.ts";
import type { Session } from "./session.ts";

/** A master as the NameServers or the command line name it. */
export interface Master {
  readonly name: string;
  readonly address: string;
}

/** A master for which something was not done. */
export interface Failed {
  readonly broker: string;
  readonly failure: string;
}

/** What came of a change. */
export interface Outcomes<T> {
  readonly done: readonly T[];
  readonly failed: readonly Failed[];
}

/**
 * Does `act` for each of `brokers`; `missing` are those that cannot be asked, and why. Throws what `act` throws when there
 * is but one of them all.
 */
export async function onEach<T>(
  brokers: readonly Master[],
  act: (broker: Master) => Promise<T>,
  missing: readonly Failed[] = [],
): Promise<Outcomes<T>> {
  const done: T[] = [];
  const failed = [...missing];
  for (const broker of brokers) {
    try {
      done.push(await act(broker));
    } catch (error) {
      if (!(error instanceof CommandFailure)) throw error;
      if (brokers.length + missing.length === 1) throw error;
      failed.push({ broker: broker.name, failure: error.message });
    }
  }
  return { done, failed };
}

/**
 * Does `act` for every master that the flags name; brokers of the cluster that have no master now count as failed.
 * Throws what `act` throws when there is but one master, and UsageFailure when none is named.
 */
export async function onEachMaster<T>(
  session: Session,
  flags: Flags,
  act: (master: Master) => Promise<T>,
): Promise<Outcomes<T>> {
  const masters = await session.namedMasters(flags);
  const cluster = flags.text("clusterName");
  const orphans = cluster === undefined ? [] : await session.withoutMaster(cluster);
  const failure = "has no master now; repeat the command when one is back";
  const missing = orphans.map((broker) => ({ broker, failure }));
  return await onEach(masters, act, missing);
}

const repeatable = "The command may be repeated: where it is done it changes nothing.";

/** Gives `answer` when all was done; else throws it as PartialFailure with what was not, and `advice`. */
export function completed(
  outcomes: Outcomes<{ readonly broker: string }>,
  answer: Answer,
  advice: string = repeatable,
): Answer {
  const { done, failed } = outcomes;
  if (failed.length === 0) return answer;
  const names = done.map(({ broker }) => broker).join(", ");
  const lines = failed.map(({ broker, failure }) => `  ${broker}: ${failure}`);
  throw new PartialFailure(
    `not done on ${failed.length} of ${done.length + failed.length} masters:\n${lines.join("\n")}\nDone on: ${names || "none"}. ${advice}`,
    { ...answer, json: { done: answer.json, failed } },
  );
}
