// Where clients of a simulated cluster go: to whoever serves. What fails there is what clients get in such a world.
import { MqError } from "../../base/index.ts";
import type { LocalParts } from "../../broker/replica.ts";
import type { Machine } from "./machine.ts";
import type { SeededRandom } from "./seeded-random.ts";

/** A broker that serves now. */
export interface ServingPlace {
  readonly machine: Machine;
  readonly local: LocalParts;
}

/** One of those that serve, and that `isWanted` says; undefined while there is none. */
export function servingPlace(
  machines: readonly Machine[],
  random: SeededRandom,
  isWanted: (local: LocalParts) => boolean,
): ServingPlace | undefined {
  const serving = machines.flatMap((machine) => {
    const { local } = machine;
    return local === undefined || !isWanted(local) ? [] : [{ machine, local }];
  });
  return serving.length === 0 ? undefined : random.pick(serving);
}

/** Adds to `problems` what is no named failure: a bug. */
export function noteFailure(problems: string[], error: unknown): void {
  if (error instanceof MqError && error.code !== "INTERNAL_SERVER_ERROR") return;
  problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
