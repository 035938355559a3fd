// The retry policy of a group in the form that the asking client understands.
import { durationOfMs, type rocketmq } from "@cometmq/proto";
import type { GroupConfig } from "../metadata/index.ts";
import type { RetryDialect } from "./identity.ts";

type RetryPolicy = rocketmq.v2.IRetryPolicy;

const customizedCountMax = 18;

/** What producers get: 3 attempts, 10 ms, twice as long each time, at most 1 s. Every client reads it. */
export const producerRetryPolicy: RetryPolicy = {
  maxAttempts: 3,
  exponentialBackoff: { initial: durationOfMs(10), max: durationOfMs(1000), multiplier: 2 },
};

/** What consumers of `group` get. `maxAttempts` counts the first delivery too. */
export function consumerRetryPolicy(group: GroupConfig, dialect: RetryDialect): RetryPolicy {
  const maxAttempts = group.retryMaxTimes + 1;
  const policy = group.retryPolicy;
  if (policy.kind === "customized") {
    if (dialect !== "exponential") return { maxAttempts, ...customized(policy.nextMs) };
    // Node.js reads whole seconds only.
    const initialMs = Math.max(1000, policy.nextMs[0] ?? 1000);
    const maxMs = Math.max(initialMs, ...policy.nextMs);
    return { maxAttempts, ...exponential({ initialMs, maxMs, multiplier: 2 }) };
  }
  if (dialect !== "customized") return { maxAttempts, ...exponential(policy) };
  const waits: number[] = [];
  for (let index = 0; index < Math.min(maxAttempts, customizedCountMax); index++) {
    waits.push(Math.min(policy.initialMs * policy.multiplier ** index, policy.maxMs));
  }
  return { maxAttempts, ...customized(waits) };
}

function customized(waits: readonly number[]): RetryPolicy {
  // Java refuses an empty list.
  const next = waits.length > 0 ? waits : [1000];
  return { customizedBackoff: { next: next.map((waitMs) => durationOfMs(waitMs)) } };
}

function exponential(policy: {
  readonly initialMs: number;
  readonly maxMs: number;
  readonly multiplier: number;
}): RetryPolicy {
  return {
    exponentialBackoff: {
      initial: durationOfMs(policy.initialMs),
      max: durationOfMs(policy.maxMs),
      multiplier: policy.multiplier,
    },
  };
}
