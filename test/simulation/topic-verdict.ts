// Whether what clients of a simulated cluster were told of one topic is what its log holds in the end.
import type { Given, Told } from "./told.ts";
import type { TopicLog } from "./topic-log.ts";

/** What was answered OK and is not where it was said to be. */
export function lost(log: TopicLog, { acked }: Told): string[] {
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

/** A consumer saw what is not there, or got again what it was done with. `isSettled`: an operator has given something up. */
export function wrongGiven(log: TopicLog, given: Given, isSettled: boolean): string[] {
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

/** What the group is done with though no consumer was given it, and it may not be gone. */
export function skipped(log: TopicLog, told: Told): string[] {
  const bodies = new Set(told.given.map(({ body }) => body));
  const problems: string[] = [];
  for (const [body, { queueId, offset }] of log.messages) {
    if (bodies.has(body) || !log.doneAt.has(`${queueId}/${offset}`)) continue;
    if (told.mayBeGone?.(body) === true) continue;
    problems.push(`${body} at ${queueId}/${offset} is done with, and was given to nobody`);
  }
  return problems;
}

/** A message was given for the first time before an earlier one of its message group or lite topic. */
export function disorder(log: TopicLog, told: Told): string[] {
  const problems: string[] = [];
  const sequences = new Map<number, string[]>();
  const byOffset = [...log.messages].toSorted(([, one], [, other]) => one.offset - other.offset);
  for (const [body, { messageGroupHash }] of byOffset) {
    const sequence = sequences.get(messageGroupHash) ?? [];
    sequences.set(messageGroupHash, sequence);
    sequence.push(body);
  }
  const seen = new Set<string>();
  for (const { body, name, atMs } of told.given) {
    const place = log.messages.get(body);
    if (place === undefined || seen.has(body)) continue;
    const sequence = sequences.get(place.messageGroupHash) ?? [];
    const before = sequence
      .slice(0, sequence.indexOf(body))
      .findLast((earlier) => told.mayBeGone?.(earlier) !== true);
    if (before !== undefined && !seen.has(before)) {
      problems.push(`${body} came from ${name} at ${atMs} before ${before} of its message group`);
    }
    seen.add(body);
  }
  return problems;
}
