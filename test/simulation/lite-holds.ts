// Holds brokers to what they say about lite topics: the messages of one are with one client of a group at a time.

/** A message that a client has and has not acknowledged. */
interface Hold {
  readonly clientId: string;
  /** Until then nobody else may have it, and no other one of its lite topic, milliseconds. */
  readonly untilMs: number;
}

/** Who has which messages, as far as one broker has given them: a process that begins anew may have forgotten the last of it. */
export class LiteHolds {
  readonly #held = new WeakMap<object, Map<string, Map<string, Hold>>>();

  /** `broker` gives a message; names the client that has one of its lite topic. */
  give(
    broker: object,
    message: Hold & { readonly name: string; readonly key: string; readonly nowMs: number },
  ): string | undefined {
    const { name, key, clientId, untilMs, nowMs } = message;
    const holds = this.#of(broker, name);
    const others = [...holds.values()].filter((hold) => hold.clientId !== clientId);
    const holder = others.find((hold) => hold.untilMs > nowMs);
    holds.set(key, { clientId, untilMs });
    return holder?.clientId;
  }

  /** `broker` has taken the acknowledgement of a message. */
  end(broker: object, { name, key }: { readonly name: string; readonly key: string }): void {
    this.#of(broker, name).delete(key);
  }

  #of(broker: object, name: string): Map<string, Hold> {
    const names = this.#held.get(broker) ?? new Map<string, Map<string, Hold>>();
    this.#held.set(broker, names);
    const holds = names.get(name) ?? new Map<string, Hold>();
    names.set(name, holds);
    return holds;
  }
}
