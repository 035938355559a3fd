// Which lite topics the clients of the model have said they want, and which of them a client may therefore be given: also
// those of a set that it has just given up, as long as the broker has not answered.
import { rocketmq } from "@cometmq/proto";
import type { SeededRandom } from "../simulation/seeded-random.ts";

const { LiteSubscriptionAction } = rocketmq.v2;

/** Lite topics that are sent to. */
export const liteTopics: readonly string[] = ["hall", "attic", "cellar"];

/** A change of what a client wants. */
export interface LiteChange {
  readonly action: number;
  readonly names: readonly string[];
  /** What it wants then. */
  readonly set: readonly string[];
}

/** What one client has said, since the broker's process is there. */
class Said {
  /** One after the other; the first is that of a client that has said nothing. */
  readonly sets: (readonly string[])[] = [[]];
  /** The last one that was answered. */
  answered = 0;

  get last(): readonly string[] {
    return this.sets.at(-1) ?? [];
  }
}

/** The sets of all clients. */
export class LiteSets {
  #said = new Map<string, Said>();
  /** What each wants, whether the broker's process knows it or not. */
  readonly #wanted = new Map<string, readonly string[]>();

  /** A change of any kind. */
  draw(client: string, random: SeededRandom): LiteChange {
    const set = this.#of(client).last;
    const name = random.pick(liteTopics);
    const kind = random.below(4);
    if (kind === 0) {
      const { PARTIAL_ADD: action } = LiteSubscriptionAction;
      return { action, names: [name], set: [...new Set([...set, name])] };
    }
    if (kind === 1) {
      const { PARTIAL_REMOVE: action } = LiteSubscriptionAction;
      return { action, names: [name], set: set.filter((one) => one !== name) };
    }
    return wholeSet(liteTopics.filter(() => random.next() < 0.6));
  }

  /** A change that takes nothing away. */
  drawMore(client: string, random: SeededRandom): LiteChange {
    const set = this.#of(client).last;
    const name = random.pick(liteTopics);
    const more = [...new Set([...set, name])];
    if (random.next() < 0.5) return wholeSet(more);
    return { action: LiteSubscriptionAction.PARTIAL_ADD, names: [name], set: more };
  }

  /** What a client says again to a broker that does not know it. */
  again(client: string): LiteChange {
    return wholeSet(this.#wanted.get(client) ?? []);
  }

  /** A client says something; call what this gives when it is answered. */
  say(client: string, { set }: LiteChange): () => void {
    this.#wanted.set(client, set);
    const said = this.#of(client);
    const number = said.sets.push(set) - 1;
    return () => {
      said.answered = Math.max(said.answered, number);
    };
  }

  /** What `allowed` needs to know of the moment at which a receive begins. */
  mark(client: string): number {
    return this.#of(client).answered;
  }

  /** What a client may be given by a receive that began at `mark`, now. */
  allowed(client: string, mark: number): ReadonlySet<string> {
    return new Set(this.#of(client).sets.slice(mark).flat());
  }

  /** The broker's process is gone, and all it was told. */
  forget(): void {
    this.#said = new Map();
  }

  /** A client has said goodbye. */
  leave(client: string): void {
    this.#said.delete(client);
  }

  #of(client: string): Said {
    const said = this.#said.get(client) ?? new Said();
    this.#said.set(client, said);
    return said;
  }
}

/** The change to these and no others. */
export function wholeSet(set: readonly string[]): LiteChange {
  return { action: LiteSubscriptionAction.COMPLETE_ADD, names: set, set };
}
