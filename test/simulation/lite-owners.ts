// Whose the lite topics of an exclusive group are, by what brokers were told: a plain model of `lite.sub.model=Exclusive`.
import type { LiteLoss, LiteSync } from "../../broker/delivery/index.ts";

/** What one broker was told, since it serves. */
interface Told {
  /** By lite topic. */
  readonly owners: Map<string, string>;
  /** Of the newest set of each client. */
  readonly versions: Map<string, number>;
  /** When a client has lost a lite topic, by both, milliseconds. */
  readonly lostAtMs: Map<string, number>;
}

/** The owners at each broker. */
export class LiteOwners {
  readonly #told = new WeakMap<object, Told>();

  /** `broker` is told a wish now; gives who loses what by that. */
  take(broker: object, wish: LiteSync, nowMs: number): readonly LiteLoss[] {
    const { owners, versions, lostAtMs } = this.#of(broker);
    const { clientId, change, names, version = 0 } = wish;
    if (version < (versions.get(clientId) ?? 0)) return [];
    versions.set(clientId, version);
    const giveUp = (name: string): void => {
      if (owners.get(name) !== clientId) return;
      owners.delete(name);
      lostAtMs.set(`${clientId} ${name}`, nowMs);
    };
    const wanted = new Set(names);
    if (change === "remove") names.forEach(giveUp);
    for (const name of owners.keys()) {
      if (change === "leave" || (change === "set" && !wanted.has(name))) giveUp(name);
    }
    if (change === "remove" || change === "leave") return [];
    const losses: LiteLoss[] = [];
    for (const name of wanted) {
      const owner = owners.get(name);
      if (owner === clientId) continue;
      // Who says a whole set may not have heard yet that another one has it.
      if (owner !== undefined && change === "set") losses.push({ clientId, name });
      else {
        if (owner !== undefined) losses.push({ clientId: owner, name });
        if (owner !== undefined) lostAtMs.set(`${owner} ${name}`, nowMs);
        owners.set(name, clientId);
      }
    }
    return losses;
  }

  /** Whether `broker` may give a client messages of a lite topic at this moment. */
  mayGive(
    broker: object,
    { clientId, name }: { readonly clientId: string; readonly name: string },
    nowMs: number,
  ): boolean {
    const { owners, lostAtMs } = this.#of(broker);
    // What was given just before is seen in the same moment.
    return owners.get(name) === clientId || lostAtMs.get(`${clientId} ${name}`) === nowMs;
  }

  #of(broker: object): Told {
    const told = this.#told.get(broker) ?? {
      owners: new Map<string, string>(),
      versions: new Map<string, number>(),
      lostAtMs: new Map<string, number>(),
    };
    this.#told.set(broker, told);
    return told;
  }
}
