// The half messages there are, by id: a client says which one it means by the place of its first record, and when it is
// looked at next, which its key in the state begins with, changes with each check. Bounded by `transactionHalfMax`.
import { background, type Clock, type Logger, limits } from "../../base/index.ts";
import type { HeldMessages } from "../held/index.ts";
import type { HeldEntry, HeldEvent, HeldPlace } from "../metadata/index.ts";

const pageCount = 4_096;

/** What this stands on. */
export interface OpenHalvesOptions {
  readonly held: HeldMessages;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** From `open` to `close`. */
export class OpenHalves {
  readonly #options: OpenHalvesOptions;
  readonly #entries = new Map<number, HeldEntry>();
  /** Those that have changed since the state was read: what is read of them is old. Undefined: it has been read. */
  #changed: Set<number> | undefined = new Set();
  #isClosed = false;
  #noteLoaded: () => void = () => {};
  readonly #loaded: Promise<void> = new Promise((resolve) => {
    this.#noteLoaded = resolve;
  });
  readonly #stopListening: () => void;

  private constructor(options: OpenHalvesOptions) {
    this.#options = options;
    this.#stopListening = options.held.state.onChange((event) => this.#follow(event));
  }

  /** Reads what is there, and follows the state from now on. */
  static open(options: OpenHalvesOptions): OpenHalves {
    const halves = new OpenHalves(options);
    background(halves.#load());
    return halves;
  }

  /** Half messages known. */
  get count(): number {
    return this.#entries.size;
  }

  /** Claims a half message and gives it as it is then; undefined, and not claimed, when there is none. Throws as `HeldMessages.take`. */
  async take(id: number): Promise<HeldEntry | undefined> {
    await this.#loaded;
    for (;;) {
      const known = this.#entries.get(id);
      if (known === undefined) return undefined;
      // What is known here is what has been applied: the state need not be asked when nobody is changing it.
      if (this.#options.held.claim(known)) {
        if (!this.#options.held.state.isDead(known)) return known;
        this.#options.held.free(known);
        return undefined;
      }
      const entry = await this.#options.held.take(known);
      if (entry !== undefined) return entry;
      // Moved meanwhile by a check, or gone with its topic.
      if (this.#entries.get(id) === known) return undefined;
    }
  }

  /** Whether the half message is there. */
  async has(id: number): Promise<boolean> {
    await this.#loaded;
    const known = this.#entries.get(id);
    return known !== undefined && !this.#options.held.state.isDead(known);
  }

  /** Forgets a half message whose topic was deleted. */
  forget({ id }: HeldEntry): void {
    this.#entries.delete(id);
  }

  /** Follows nothing any more. */
  close(): void {
    this.#isClosed = true;
    this.#stopListening();
    this.#noteLoaded();
  }

  #follow({ before, after }: HeldEvent): void {
    if (before?.kind === "half") {
      this.#entries.delete(before.id);
      this.#changed?.add(before.id);
    }
    if (after?.kind === "half") this.#entries.set(after.id, after);
  }

  async #load(): Promise<void> {
    const { held, logger, clock } = this.#options;
    let from: HeldPlace | undefined = { dueMs: 0, id: 0 };
    let isFailing = false;
    while (from !== undefined && !this.#isClosed) {
      try {
        from = await this.#loadPage(held, from);
      } catch (error) {
        if (this.#isClosed) return;
        const reason = error instanceof Error ? error.message : String(error);
        if (!isFailing) logger.error("half messages cannot be read, tried again", { reason });
        isFailing = true;
        await new Promise<void>(
          (resolve) => void clock.after(limits.readRetryDelayMs, resolve, { unref: true }),
        );
      }
    }
    this.#changed = undefined;
    this.#noteLoaded();
  }

  /** Takes in what follows `from`; gives where to go on. */
  async #loadPage({ state }: HeldMessages, from: HeldPlace): Promise<HeldPlace | undefined> {
    const { entries, isLast } = await state.page("half", from, pageCount);
    for (const entry of entries) {
      const isOld = this.#changed?.has(entry.id) === true || this.#entries.has(entry.id);
      if (!isOld) this.#entries.set(entry.id, entry);
    }
    const last = entries.at(-1);
    return isLast || last === undefined ? undefined : { dueMs: last.dueMs, id: last.id + 1 };
  }
}
