// How consumer groups are shown.
import { type cometmq, msOfDuration, type rocketmq } from "@cometmq/proto";
import type { Answer, Row } from "./answer.ts";

/** A group as one broker has it, ready to be shown. */
export interface ShownGroup {
  readonly broker: string;
  readonly name: string;
  readonly consumeEnable: boolean;
  readonly consumeBroadcastEnable: boolean;
  readonly consumeMessageOrderly: boolean;
  readonly retryMaxTimes: number;
  readonly retryPolicy: string;
  readonly consumeFrom: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Takes a group off the wire. */
export function shownGroup(broker: string, group: cometmq.v1.IGroupConfig): ShownGroup {
  return {
    broker,
    name: group.name ?? "",
    consumeEnable: group.consumeEnable ?? false,
    consumeBroadcastEnable: group.consumeBroadcastEnable ?? false,
    consumeMessageOrderly: group.consumeMessageOrderly ?? false,
    retryMaxTimes: group.retryMaxTimes ?? 0,
    retryPolicy: group.retryPolicy ? policyText(group.retryPolicy) : "",
    consumeFrom: group.consumeFrom ?? "",
    attributes: group.attributes ?? {},
  };
}

/** A line a group and broker. */
export function groupTable(groups: readonly ShownGroup[]): NonNullable<Answer["table"]> {
  return {
    columns: [
      "Group",
      "Broker",
      "Enabled",
      "Broadcast",
      "Orderly",
      "Retries",
      "Consume from",
      "Waits between deliveries",
      "Attributes",
    ],
    rows: groups.map(
      (group): Row => [
        group.name,
        group.broker,
        group.consumeEnable,
        group.consumeBroadcastEnable,
        group.consumeMessageOrderly,
        group.retryMaxTimes,
        group.consumeFrom,
        group.retryPolicy,
        Object.entries(group.attributes)
          .map(([name, value]) => `${name}=${value}`)
          .join(","),
      ],
    ),
  };
}

function policyText({ customizedBackoff, exponentialBackoff }: rocketmq.v2.IRetryPolicy): string {
  if (customizedBackoff) {
    return (customizedBackoff.next ?? []).map((wait) => waitText(msOfDuration(wait))).join(" ");
  }
  const { initial, max, multiplier } = exponentialBackoff ?? {};
  const [from, to] = [initial, max].map((wait) => waitText(msOfDuration(wait ?? {})));
  return `${from} times ${multiplier ?? 0} up to ${to}`;
}

const units = [
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

function waitText(ms: number): string {
  const [unit, unitMs] = units.find(([, size]) => ms >= size && ms % size === 0) ?? ["ms", 1];
  return `${ms / unitMs}${unit}`;
}
