// What is to be said of a simulated cluster in the end: whether what clients were told is what the logs hold.
import type { Machine } from "./machine.ts";
import type { Told } from "./told.ts";
import type { TopicLog } from "./topic-log.ts";
import { disorder, lost, skipped, wrongGiven } from "./topic-verdict.ts";
import type { Traffic } from "./traffic.ts";
import { logBytes, storeOf, type Watch } from "./watch.ts";
import { transactionCheckMax, type World } from "./world.ts";

/** Everything that is wrong when all is healed and level. */
export function verdict(world: World, watch: Watch, traffic: Traffic): readonly string[] {
  const wholeLogs = differences(world);
  if (world.isForgiven) return wholeLogs;
  watch.compare();
  const { priorities, lite } = traffic;
  const { isOrdered } = world.mode;
  return [
    ...wholeLogs,
    ...topicVerdict(world, { log: watch.log.plain, told: traffic, isOrdered }),
    ...(priorities === undefined
      ? []
      : topicVerdict(world, { log: watch.log.priorities, told: priorities, isOrdered: false })),
    ...(lite === undefined
      ? []
      : topicVerdict(world, { log: watch.log.lite, told: lite, isOrdered: true })),
    ...watch.log.delayed.verdict(traffic.delayed, isKept(world)),
    ...watch.log.transactions.verdict(traffic.transactions?.transactions ?? new Map(), {
      isKept: isKept(world),
      checkMax: transactionCheckMax,
    }),
  ];
}

/** Whether clients were told of a topic what its log says. `isOrdered`: order within message groups or lite topics. */
function topicVerdict(
  { mode, isSettled }: World,
  topic: { readonly log: TopicLog; readonly told: Told; readonly isOrdered: boolean },
): string[] {
  const { log, told, isOrdered } = topic;
  const problems = told.given.flatMap((given) => wrongGiven(log, given, isSettled));
  if (isKept({ mode })) problems.push(...lost(log, told));
  // What small disks have lost was given to nobody.
  if (mode.isRetaining) return problems;
  problems.push(...skipped(log, told));
  if (isOrdered) problems.push(...disorder(log, told));
  return problems;
}

/** Messages that no consumer of their group is done with yet. */
export function unconsumed({ log }: Watch, master: Machine): readonly string[] {
  const start = storeOf(master)?.start ?? 0;
  const bodies: string[] = [];
  for (const { messages, doneAt } of [log.plain, log.priorities, log.lite]) {
    for (const [body, { queueId, offset, position }] of messages) {
      if (position >= start && !doneAt.has(`${queueId}/${offset}`)) bodies.push(body);
    }
  }
  return bodies;
}

/** Logs that are not the same, from where all of them start. */
function differences({ machines }: World): string[] {
  const stores = machines.flatMap((machine) => storeOf(machine) ?? []);
  // A slave removes what has expired a moment after its master. Progress may still be appended.
  const start = Math.max(...stores.map((store) => store.start));
  const end = Math.min(...stores.map((store) => store.written));
  const [first, ...others] = machines.map((machine) => logBytes(machine, start, end));
  return others.flatMap((log, index) => {
    if (first?.equals(log) === true) return [];
    const epochs = stores[index + 1]?.epochs.map(({ epoch, position }) => `${epoch}@${position}`);
    return [
      `log ${index + 2} differs from the first one in ${start} to ${end}; epochs ${epochs?.join()}`,
    ];
  });
}

/** Whether what was answered OK is there for good: an elected ASYNC_MASTER answers before the others have it. */
function isKept({ mode }: Pick<World, "mode">): boolean {
  return !mode.isElected || mode.role !== "ASYNC_MASTER";
}
