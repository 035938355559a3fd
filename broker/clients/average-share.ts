// RocketMQ's way to spread queues over the members of a group. Pure.

/**
 * The part of `member`: consecutive queues, sizes differ by one at most, and earlier members get the larger parts. Both
 * lists in the same order for everybody; none for who is not a member.
 */
export function averageShare<Queue>(
  queues: readonly Queue[],
  members: readonly string[],
  member: string,
): readonly Queue[] {
  const index = members.indexOf(member);
  if (index < 0) return [];
  const size = Math.floor(queues.length / members.length);
  const rest = queues.length % members.length;
  const start = index * size + Math.min(index, rest);
  return queues.slice(start, start + size + (index < rest ? 1 : 0));
}
