// Runs one seed: a cluster under faults and clients, then healed; gives what was found wrong.
import { createHash } from "node:crypto";
import { onBackgroundFailure } from "../../base/index.ts";
import { Faults } from "./faults.ts";
import { Traffic } from "./traffic.ts";
import { unconsumed, verdict } from "./verdict.ts";
import { storeOf, Watch } from "./watch.ts";
import { World } from "./world.ts";

/** What came of a seed. */
export interface Outcome {
  readonly seed: number;
  readonly mode: string;
  readonly problems: readonly string[];
  readonly acked: number;
  readonly consumed: number;
  /** Messages of other kinds that consumers were given. */
  readonly given: Readonly<Record<"transactions" | "priorities" | "lite", number>>;
  /** Messages of lite topics that nobody was given, because these were idle. */
  readonly expired: number;
  readonly faults: Readonly<Record<string, number>>;
  /** Of the group's life after it was healed, until its logs were the same. */
  readonly healedMs: number;
  /** Whether an operator had to decide. */
  readonly isSettled: boolean;
  /** Of everything that happened. */
  readonly traceHash: string;
  readonly trace: readonly string[];
}

const beginMs = 3_000;
/** How long there are faults: most seeds are short, for many of them to be run; each fourth lets much pile up. */
const harmMs = { short: 4_000, long: 12_000 } as const;
const healMs = 60_000;
/** After so long without success an operator looks at a group. */
const operatorMs = 20_000;

/** Runs a seed to its end. */
export async function simulate(seed: number): Promise<Outcome> {
  const world = new World(seed);
  const { time } = world;
  const problems: string[] = [];
  onBackgroundFailure((error) => {
    problems.push(`BUG ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  });
  const watch = new Watch(world, problems);
  time.onStep = () => watch.look();
  for (const machine of world.machines) machine.start();
  await time.pass(beginMs);
  const traffic = new Traffic(world, watch);
  await time.pass(500);
  const faults = new Faults(world);
  await time.pass(seed % 4 === 0 ? harmMs.long : harmMs.short);
  faults.heal();
  world.trace("HEALED");
  const healedAtMs = time.nowMs;
  const failure = await goesOn(world, watch, traffic);
  const healedMs = time.nowMs - healedAtMs;
  traffic.stop();
  if (failure === undefined) problems.push(...verdict(world, watch, traffic));
  else problems.push(`${failure} within ${healMs} ms after everything was healed`);
  return {
    seed,
    mode: world.title,
    problems,
    acked: traffic.acked.size,
    consumed: traffic.consumedCount,
    given: {
      transactions: traffic.transactions?.given.size ?? 0,
      priorities: traffic.priorities?.given.length ?? 0,
      lite: traffic.lite?.given.length ?? 0,
    },
    expired: traffic.lite?.goneCount ?? 0,
    faults: Object.fromEntries(faults.counts),
    healedMs,
    isSettled: world.isSettled,
    traceHash: createHash("sha256").update(world.lines.join("\n")).digest("hex"),
    trace: world.lines,
  };
}

/** Whether the group serves again, all logs become the same, and everything is consumed; else what did not happen. */
async function goesOn(world: World, watch: Watch, traffic: Traffic): Promise<string | undefined> {
  const { time } = world;
  if (!(await happens(world, () => rulerOf(world) !== undefined, operatorMs))) settle(world);
  if (!(await happens(world, () => rulerOf(world) !== undefined)))
    return `no master: ${describe(world)}`;
  await time.pass(1_000);
  traffic.stopSending();
  if (!(await happens(world, () => isAllLevel(world), operatorMs))) settle(world);
  if (!(await happens(world, () => isAllLevel(world)))) return `not level: ${describe(world)}`;
  const isDone = (): boolean => {
    const ruler = rulerOf(world);
    return ruler !== undefined && unconsumed(watch, ruler).length === 0;
  };
  const isConsumed = world.isForgiven || (await happens(world, isDone));
  if (!isConsumed) {
    const ruler = rulerOf(world);
    const left = ruler === undefined ? [] : unconsumed(watch, ruler);
    return `${left.length} messages are not consumed, ${left[0]} for example,`;
  }
  const isDelivered = (): boolean => rulerOf(world)?.local?.timers?.pendingCount === 0;
  if (!(await happens(world, isDelivered))) {
    return `${rulerOf(world)?.local?.timers?.pendingCount} delayed messages are not delivered`;
  }
  const isSettledAll = (): boolean => rulerOf(world)?.local?.transactions?.halfCount === 0;
  if (!(await happens(world, isSettledAll))) {
    return `${rulerOf(world)?.local?.transactions?.halfCount} transactions are not settled`;
  }
  const isSeen = (): boolean => traffic.transactions?.isConsumed !== false;
  if (!world.isForgiven && !world.mode.isRetaining && !(await happens(world, isSeen))) {
    return "committed messages are not consumed";
  }
  traffic.stop();
  await time.pass(500);
  return (await happens(world, () => isAllLevel(world)))
    ? undefined
    : `not level: ${describe(world)}`;
}

/**
 * What an operator does, as docs/replication.md says, when a master of fixed roles had to start without asking a slave that
 * has more: that is given up.
 */
function settle(world: World): void {
  const [master] = world.machines;
  const mayBeLonger = world.lines.some((line) => line.includes("WITHOUT HAVING ASKED EVERY"));
  if (world.isElected || master === undefined || !mayBeLonger || world.isSettled) return;
  world.trace("an operator gives up what slaves have beyond their master");
  world.isSettled = true;
  master.kill();
  master.start();
}

/** Lets time pass until something is so; looked at now and then. */
async function happens(
  { time }: World,
  isSo: () => boolean,
  withinMs: number = healMs,
): Promise<boolean> {
  const endMs = time.nowMs + withinMs;
  while (!isSo()) {
    if (time.nowMs >= endMs) return false;
    await time.pass(100);
  }
  return true;
}

function rulerOf({ machines }: World): World["machines"][number] | undefined {
  return machines.find(({ local }) => local?.canSend === true);
}

function isAllLevel(world: World): boolean {
  const ruler = rulerOf(world);
  const master = ruler === undefined ? undefined : storeOf(ruler);
  if (master === undefined) return false;
  return world.machines.map(storeOf).every((store) => {
    if (store === undefined || store.end !== master.end) return false;
    return store.confirmed === master.end && store.written === master.end;
  });
}

function describe({ machines }: World): string {
  return machines
    .map((machine) => {
      const store = storeOf(machine);
      const { life, startFailure } = machine;
      const standing = life?.replica?.standing.kind ?? `down ${startFailure}`;
      return `${machine.name} ${standing} end ${store?.end} confirmed ${store?.confirmed}`;
    })
    .join("; ");
}
