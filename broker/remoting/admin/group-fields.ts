// A consumer group as operators send and see it.
import { type cometmq, durationOfMs, msOfDuration, type rocketmq } from "@cometmq/proto";
import { MqError } from "../../../base/index.ts";
import type { GroupConfig, RetryPolicy } from "../../metadata/index.ts";

/** The group in the form of cometmq.v1. */
export function groupFields(group: GroupConfig): cometmq.v1.IGroupConfig {
  return {
    name: group.name,
    consumeEnable: group.consumeEnable,
    consumeBroadcastEnable: group.consumeBroadcastEnable,
    consumeMessageOrderly: group.consumeMessageOrderly,
    retryMaxTimes: group.retryMaxTimes,
    retryPolicy: retryPolicyFields(group.retryPolicy),
    consumeFrom: String(group.consumeFrom),
    attributes: group.attributes,
    notifyConsumerIdsChangedEnable: true,
  };
}

/** The policy that an operator sent. Throws BAD_REQUEST when it holds neither kind. */
export function readRetryPolicy(policy: rocketmq.v2.RetryPolicy): RetryPolicy {
  const { customizedBackoff, exponentialBackoff } = policy;
  if (customizedBackoff) {
    const nextMs = customizedBackoff.next.map((wait) => msOfDuration(wait));
    return { kind: "customized", nextMs };
  }
  if (exponentialBackoff) {
    return {
      kind: "exponential",
      initialMs: msOfDuration(exponentialBackoff.initial ?? {}),
      maxMs: msOfDuration(exponentialBackoff.max ?? {}),
      multiplier: exponentialBackoff.multiplier,
    };
  }
  throw new MqError("BAD_REQUEST", "the retry policy is neither a list of waits nor exponential");
}

function retryPolicyFields(policy: RetryPolicy): rocketmq.v2.IRetryPolicy {
  if (policy.kind === "customized") {
    return { customizedBackoff: { next: policy.nextMs.map((waitMs) => durationOfMs(waitMs)) } };
  }
  const { initialMs, maxMs, multiplier } = policy;
  return {
    exponentialBackoff: {
      initial: durationOfMs(initialMs),
      max: durationOfMs(maxMs),
      multiplier,
    },
  };
}
