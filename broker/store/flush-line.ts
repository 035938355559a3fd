// Those who wait until the log survives a power cut up to a position.

interface Waiting {
  readonly position: number;
  resolve(): void;
  reject(error: Error): void;
}

/** Waiters for flushes, in any order of positions. */
export class FlushLine {
  #items: Waiting[] = [];

  /** Resolves when `flushed` has reached `position`. */
  wait(position: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#items.push({ position, resolve, reject });
    });
  }

  /** Answers all up to `position`. */
  flushed(position: number): void {
    if (this.#items.length === 0) return;
    const done = this.#items.filter((waiting) => waiting.position <= position);
    this.#items = this.#items.filter((waiting) => waiting.position > position);
    for (const waiting of done) waiting.resolve();
  }

  /** Refuses all behind `position`. */
  refuse(position: number, error: Error): void {
    const refused = this.#items.filter((waiting) => waiting.position > position);
    this.#items = this.#items.filter((waiting) => waiting.position <= position);
    for (const waiting of refused) waiting.reject(error);
  }
}
