// The lite topics that may have something for one client, in the order in which they are looked at. Pure.
import type { LiteGroup } from "./lite-group.ts";

/** Who was served goes to the end. What has been read from files comes first: it takes memory until it is given. */
export class ReadyLiteGroups {
  readonly #read = new Set<LiteGroup>();
  readonly #others = new Set<LiteGroup>();

  get size(): number {
    return this.#read.size + this.#others.size;
  }

  /** One that is in it keeps its place. */
  add(group: LiteGroup): void {
    (group.isRead ? this.#others : this.#read).delete(group);
    (group.isRead ? this.#read : this.#others).add(group);
  }

  delete(group: LiteGroup): void {
    this.#read.delete(group);
    this.#others.delete(group);
  }

  /** Takes changes meanwhile, as a set does. */
  *[Symbol.iterator](): Generator<LiteGroup> {
    yield* this.#read;
    yield* this.#others;
  }
}
