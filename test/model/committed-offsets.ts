// The offsets that a group which pulls has stored, as far as its clients were told.
import { expect } from "./broken-promise.ts";

/** What is known of one queue. */
interface Stored {
  /** What the offset may be; undefined: none is stored. */
  possible: Set<number | undefined>;
  /** What it was at any time. */
  readonly ever: Set<number | undefined>;
  underWay: number;
}

/** The offsets of one group, by queue. */
export class CommittedOffsets {
  readonly #stored = new Map<string, Stored>();

  /** A client stores an offset; call what this gives when that was answered OK. */
  say(queue: string, offset: number): () => void {
    const stored = this.#of(queue);
    stored.possible.add(offset);
    stored.ever.add(offset);
    stored.underWay += 1;
    const isAlone = stored.underWay === 1;
    return () => {
      stored.underWay -= 1;
      // Of those that are under way together each may be the last one.
      if (isAlone && stored.underWay === 0) stored.possible = new Set([offset]);
    };
  }

  /** What `check` needs to know of the moment at which a question begins. */
  mark(queue: string): ReadonlySet<number | undefined> {
    return new Set(this.#of(queue).possible);
  }

  /** Throws unless `offset` may be, or may have been since `mark`, what is stored. */
  check(queue: string, offset: number | undefined, mark: ReadonlySet<number | undefined>): void {
    const possible = new Set([...mark, ...this.#of(queue).possible]);
    const named = [...possible].map((one) => one ?? "none").join(" or ");
    expect(possible.has(offset), `the stored offset of ${queue} is ${offset}, not ${named}`);
  }

  /** The process is gone: what was under way is stored or not. */
  crash(): void {
    for (const stored of this.#stored.values()) stored.underWay = 0;
  }

  /** Power is gone, and what was answered OK may be as well. */
  forgive(): void {
    for (const stored of this.#stored.values()) stored.possible = new Set(stored.ever);
  }

  #of(queue: string): Stored {
    const known = this.#stored.get(queue);
    if (known !== undefined) return known;
    const none = [undefined];
    const stored = { possible: new Set(none), ever: new Set(none), underWay: 0 };
    this.#stored.set(queue, stored);
    return stored;
  }
}
