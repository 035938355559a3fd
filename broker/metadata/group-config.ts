// What a consumer group is: whether and how it consumes, how often and when it retries.
import { limits, MqError } from "../../base/index.ts";
import {
  type ConsumeFrom,
  checkAttributes,
  consumeFromKey,
  groupAttributes,
  parseConsumeFrom,
} from "./attributes.ts";
import { checkGroupName } from "./names.ts";

/** How long a message that failed waits before it is handed out again. */
export type RetryPolicy =
  | {
      readonly kind: "customized";
      /** Waits by attempt, milliseconds; the last one repeats. */
      readonly nextMs: readonly number[];
    }
  | {
      readonly kind: "exponential";
      readonly initialMs: number;
      readonly maxMs: number;
      readonly multiplier: number;
    };

/** A consumer group as the broker keeps it. Always complete and checked. */
export interface GroupConfig {
  readonly name: string;
  /** False: receives are refused with FORBIDDEN. */
  readonly consumeEnable: boolean;
  /** Order within each message group is enforced. */
  readonly consumeMessageOrderly: boolean;
  /** Whether broadcast consumers are let in. */
  readonly consumeBroadcastEnable: boolean;
  /** Deliveries after the first one, `[0, limits.retryTimesMax]`; then the dead-letter topic takes the message. */
  readonly retryMaxTimes: number;
  readonly retryPolicy: RetryPolicy;
  /** Where it starts on a queue it has no progress on. */
  readonly consumeFrom: ConsumeFrom;
  /** As given by operators; `consume.from`, when present, says the same as `consumeFrom`. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** A group as somebody asks for it: what is left out gets its default. */
export type GroupDraft = Pick<GroupConfig, "name"> & Partial<GroupConfig>;

const secondMs = 1_000;
const minuteMs = 60 * secondMs;

/** RocketMQ's list: 1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h. */
export const defaultRetryPolicy: RetryPolicy = {
  kind: "customized",
  nextMs: [
    ...[1, 5, 10, 30].map((seconds) => seconds * secondMs),
    ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 60, 120].map((minutes) => minutes * minuteMs),
  ],
};

/** Deliveries after the first one when nothing is said. */
export const defaultRetryMaxTimes = 16;

/** Completes and checks a draft. Throws ILLEGAL_CONSUMER_GROUP or BAD_REQUEST naming the field and what is allowed. */
export function makeGroup(draft: GroupDraft): GroupConfig {
  checkGroupName(draft.name);
  const retryMaxTimes = draft.retryMaxTimes ?? defaultRetryMaxTimes;
  checkWhole("retryMaxTimes", retryMaxTimes, { min: 0, max: limits.retryTimesMax });
  const retryPolicy = draft.retryPolicy ?? defaultRetryPolicy;
  checkRetryPolicy(retryPolicy);
  const attributes = { ...draft.attributes };
  checkAttributes(attributes, groupAttributes);
  return {
    name: draft.name,
    consumeEnable: draft.consumeEnable ?? true,
    consumeMessageOrderly: draft.consumeMessageOrderly ?? false,
    consumeBroadcastEnable: draft.consumeBroadcastEnable ?? true,
    retryMaxTimes,
    retryPolicy,
    consumeFrom: chooseConsumeFrom(draft.consumeFrom, attributes[consumeFromKey]),
    attributes,
  };
}

/** The attribute decides; the field counts when there is no attribute. */
function chooseConsumeFrom(
  field: ConsumeFrom | undefined,
  attribute: string | undefined,
): ConsumeFrom {
  const from = parseConsumeFrom(attribute ?? String(field ?? "default"));
  if (from === undefined) {
    throw new MqError(
      "BAD_REQUEST",
      `${consumeFromKey} may not be ${JSON.stringify(field)}: allowed are default, first, last, or milliseconds since 1970`,
    );
  }
  return from;
}

function checkRetryPolicy(policy: RetryPolicy): void {
  const range = { min: 0, max: limits.retryDelayMaxMs };
  switch (policy.kind) {
    case "customized":
      checkWhole("length of the retry policy", policy.nextMs.length, {
        min: 1,
        max: limits.retryPolicyStepsMax,
      });
      for (const nextMs of policy.nextMs) checkWhole("retry delay in ms", nextMs, range);
      return;
    case "exponential":
      checkWhole("initial retry delay in ms", policy.initialMs, range);
      checkWhole("largest retry delay in ms", policy.maxMs, { ...range, min: policy.initialMs });
      if (!(policy.multiplier >= 1 && policy.multiplier <= 100)) {
        throw new MqError(
          "BAD_REQUEST",
          `retry multiplier may not be ${policy.multiplier}: allowed are 1 to 100`,
        );
      }
  }
}

function checkWhole(
  field: string,
  value: number,
  range: { readonly min: number; readonly max: number },
): void {
  if (Number.isSafeInteger(value) && value >= range.min && value <= range.max) return;
  throw new MqError(
    "BAD_REQUEST",
    `${field} may not be ${value}: allowed are ${range.min} to ${range.max}`,
  );
}
