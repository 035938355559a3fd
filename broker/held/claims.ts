// Who is changing which held message now. Changes go into the log before they are applied, and between the two nobody
// else may decide about the message: it would be delivered although it was recalled, or twice.

/** Ids of held messages that somebody is deciding about. */
export class Claims {
  readonly #claimed = new Map<number, (() => void)[] | undefined>();

  /** Messages claimed now. */
  get count(): number {
    return this.#claimed.size;
  }

  /** Claims a message; false when somebody has it. Whoever has claimed calls `free` once. */
  claim(id: number): boolean {
    if (this.#claimed.has(id)) return false;
    this.#claimed.set(id, undefined);
    return true;
  }

  /** Lets others have it. */
  free(id: number): void {
    const waiting = this.#claimed.get(id) ?? [];
    this.#claimed.delete(id);
    for (const wake of waiting) wake();
  }

  /** Resolves when nobody has the message; somebody else may be faster in claiming it then. */
  whenFree(id: number): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#claimed.has(id)) return resolve();
      const waiting = this.#claimed.get(id);
      if (waiting === undefined) this.#claimed.set(id, [resolve]);
      else waiting.push(resolve);
    });
  }
}
