// Which messages of lite topics that expire may be gone, and which have to be: as far as the confirmed log says when each
// lite topic had its messages, and as long as nothing was in the way of the master.
import { CalmWatch, calmLookEveryMs } from "./calm.ts";
import { SeededRandom } from "./seeded-random.ts";
import type { Watch } from "./watch.ts";
import { liteMinuteMs, liteUpkeepPeriodMs, type World } from "./world.ts";

/** A message of a lite topic. */
interface Entry {
  readonly storedAtMs: number;
  /** It was confirmed before that. */
  readonly seenAtMs: number;
}

/** Where a message stands in its lite topic. */
interface Standing {
  readonly entries: readonly Entry[];
  readonly index: number;
}

/** A time in which one master served, and nothing was in its way. */
interface Quiet {
  readonly by: object;
  readonly fromMs: number;
  untilMs: number;
}

/** A look at both queues, and the time to write down what came of it. */
const goneWithinMs = liteUpkeepPeriodMs + 500;
/** For so long a lite topic gets messages, or does not. */
const spellMs = 900;

/** Looks all the time. */
export class LiteIdleness {
  readonly #world: World;
  readonly #watch: Watch;
  readonly #calm: CalmWatch;
  readonly #quiet: Quiet[] = [];
  /** By lite topic, in the order of the log. */
  readonly #topics = new Map<number, Entry[]>();
  readonly #standings = new Map<string, Standing>();
  /** When the group was seen to be done with a message, milliseconds. */
  readonly #doneAtMs = new Map<string, number>();
  #isOver = false;

  constructor(world: World, watch: Watch) {
    this.#world = world;
    this.#watch = watch;
    this.#calm = new CalmWatch(world);
    this.#look();
  }

  stop(): void {
    this.#isOver = true;
  }

  /** Those of `names` that get messages now: the others are idle for a while. */
  lively(names: readonly string[]): readonly string[] {
    const { seed, time } = this.#world;
    const spell = Math.floor(time.nowMs / spellMs);
    const isLively = (name: string): boolean =>
      SeededRandom.forked(seed, `${name} in spell ${spell}`).next() < 0.5;
    const lively = names.filter(isLively);
    return lively.length === 0 ? names : lively;
  }

  /** Whether the lite topic of a message was idle for so long that it may have gone, before the group was done with it. */
  mayBeGone(body: string): boolean {
    this.#takeIn();
    const doneAtMs = this.#doneAtMs.get(body) ?? this.#world.time.nowMs;
    return this.#gapsAfter(body).some(
      ({ fromMs, seenAtMs }) => Math.min(seenAtMs, doneAtMs) >= fromMs + liteMinuteMs,
    );
  }

  /** Whether it was idle for so long, under a master that nothing was in the way of, that nobody may get the message now. */
  mustBeGone(body: string): boolean {
    const { time, mode } = this.#world;
    // Small disks are full now and then by themselves.
    if (mode.isRetaining) return false;
    return this.#gapsAfter(body).some(({ fromMs, untilMs }) => {
      const idleAtMs = fromMs + liteMinuteMs;
      const goneAtMs = idleAtMs + goneWithinMs;
      if (untilMs <= goneAtMs || time.nowMs <= goneAtMs + 2 * calmLookEveryMs) return false;
      return this.#quiet.some((quiet) => quiet.fromMs <= idleAtMs && quiet.untilMs >= goneAtMs);
    });
  }

  /** Times without a message: from the one before to when the next one was stored, and seen. */
  #gapsAfter(
    body: string,
  ): readonly { readonly fromMs: number; readonly untilMs: number; readonly seenAtMs: number }[] {
    const { entries, index } = this.#standings.get(body) ?? { entries: [], index: 0 };
    const { nowMs } = this.#world.time;
    return entries.slice(index).map(({ storedAtMs }, place) => {
      const next = entries[index + place + 1];
      const untilMs = next?.storedAtMs ?? nowMs;
      return { fromMs: storedAtMs, untilMs, seenAtMs: next?.seenAtMs ?? nowMs };
    });
  }

  #look(): void {
    if (this.#isOver) return;
    this.#world.clock.after(calmLookEveryMs, () => this.#look());
    this.#takeIn();
    const calm = this.#calm.look();
    if (calm === undefined) return;
    const { sinceMs, local } = calm;
    const { nowMs } = this.#world.time;
    const last = this.#quiet.at(-1);
    if (last?.by === local.delivery && last.fromMs === sinceMs) last.untilMs = nowMs;
    else this.#quiet.push({ by: local.delivery, fromMs: sinceMs, untilMs: nowMs });
  }

  /** Takes in what is confirmed since the last look. */
  #takeIn(): void {
    const { time, clock } = this.#world;
    const zeroMs = clock.now() - time.nowMs;
    const { messages, doneAt } = this.#watch.log.lite;
    for (const [body, { queueId, offset, messageGroupHash, storeTimeMs }] of messages) {
      const isDone = !this.#doneAtMs.has(body) && doneAt.has(`${queueId}/${offset}`);
      if (isDone) this.#doneAtMs.set(body, time.nowMs);
      if (this.#standings.has(body)) continue;
      const entries = this.#topics.get(messageGroupHash) ?? [];
      this.#topics.set(messageGroupHash, entries);
      this.#standings.set(body, { entries, index: entries.length });
      entries.push({ storedAtMs: storeTimeMs - zeroMs, seenAtMs: time.nowMs });
    }
  }
}
