// What is to be said of a simulated cluster in the end: whether what clients were told is what the logs hold.
import type { Machine } from "./machine.ts";
import type { Given, Traffic } from "./traffic.ts";
import { logBytes, storeOf, type Watch } from "./watch.ts";
import { transactionCheckMax, type World } from "./world.ts";

/** Everything that is wrong when all is healed and level. */
export function verdict(world: World, watch: Watch, traffic: Traffic): readonly string[] {
  const wholeLogs = differences(world);
  if (world.isForgiven) return wholeLogs;
  watch.compare();
  return [
    ...wholeLogs,
    ...lost(world, watch, traffic),
    ...watch.log.delayed.verdict(traffic.delayed, isKept(world)),
    ...watch.log.transactions.verdict(traffic.transactions?.transactions ?? new Map(), {
      isKept: isKept(world),
      checkMax: transactionCheckMax,
    }),
    ...traffic.given.flatMap((given) => wrongGiven(world, watch, given)),
    ...(world.mode.isRetaining ? [] : skipped(watch, traffic)),
    ...(world.mode.isOrdered && !world.mode.isRetaining ? disorder(watch, traffic) : []),
  ];
}

/** Messages that no consumer of the group is done with yet. */
export function unconsumed({ log }: Watch, master: Machine): readonly string[] {
  const start = storeOf(master)?.start ?? 0;
  const bodies: string[] = [];
  for (const [body, { queueId, offset, position }] of log.messages) {
    if (position >= start && !log.doneAt.has(`${queueId}/${offset}`)) bodies.push(body);
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
function isKept({ mode }: World): boolean {
  return !mode.isElected || mode.role !== "ASYNC_MASTER";
}

/** What was answered OK and is not where it was said to be. */
function lost(world: World, { log }: Watch, { acked }: Traffic): string[] {
  if (!isKept(world)) return [];
  const problems: string[] = [];
  for (const [body, { brokerId, epoch, atMs, position, queueId, offset }] of acked) {
    const place = log.messages.get(body);
    if (place?.position === position && place.queueId === queueId && place.offset === offset)
      continue;
    const is = place === undefined ? "LOST" : `at ${place.position} instead of ${position}`;
    problems.push(`${body}, acknowledged by ${brokerId} in epoch ${epoch} at ${atMs}, is ${is}`);
  }
  return problems;
}

/** A consumer saw what is not there, or got again what it was done with. */
function wrongGiven({ isSettled }: World, { log }: Watch, given: Given): string[] {
  const { body, queueId, offset, atMs, name, knownUpTo } = given;
  const place = log.messages.get(body);
  const problems: string[] = [];
  // An acting slave may show what only it has; an operator gave that up.
  if ((place?.queueId !== queueId || place.offset !== offset) && !isSettled) {
    const is = place === undefined ? "no place" : `${place.queueId}/${place.offset}`;
    problems.push(`${body} was seen at ${queueId}/${offset}, and is at ${is}`);
  }
  const doneAt = log.doneAt.get(`${queueId}/${offset}`) ?? Infinity;
  if (doneAt <= knownUpTo) {
    problems.push(`${body} was done with at ${doneAt}, and came again from ${name} at ${atMs}`);
  }
  return problems;
}

/** What the group is done with though no consumer was given it. */
function skipped({ log }: Watch, { given }: Traffic): string[] {
  const bodies = new Set(given.map(({ body }) => body));
  const problems: string[] = [];
  for (const [body, { queueId, offset }] of log.messages) {
    if (bodies.has(body) || !log.doneAt.has(`${queueId}/${offset}`)) continue;
    problems.push(`${body} at ${queueId}/${offset} is done with, and was given to nobody`);
  }
  return problems;
}

/** A message was given for the first time before an earlier one of its message group. */
function disorder({ log }: Watch, { given }: Traffic): string[] {
  const problems: string[] = [];
  const sequences = new Map<number, string[]>();
  const byOffset = [...log.messages].toSorted(([, one], [, other]) => one.offset - other.offset);
  for (const [body, { messageGroupHash }] of byOffset) {
    const sequence = sequences.get(messageGroupHash) ?? [];
    sequences.set(messageGroupHash, sequence);
    sequence.push(body);
  }
  const seen = new Set<string>();
  for (const { body, name, atMs } of given) {
    const place = log.messages.get(body);
    if (place === undefined || seen.has(body)) continue;
    const sequence = sequences.get(place.messageGroupHash) ?? [];
    const before = sequence[sequence.indexOf(body) - 1];
    if (before !== undefined && !seen.has(before)) {
      problems.push(`${body} came from ${name} at ${atMs} before ${before} of its message group`);
    }
    seen.add(body);
  }
  return problems;
}
