// How long to wait before the next attempt: the policies a server gives in its settings. Pure.

/** Delays between attempts. */
export type RetryPolicy =
  | {
      readonly kind: "exponential";
      readonly maxAttempts: number;
      readonly initialMs: number;
      readonly maxMs: number;
      readonly multiplier: number;
    }
  | {
      readonly kind: "customized";
      readonly maxAttempts: number;
      /** Delay after the first, second, … attempt; the last one counts for all that follow. */
      readonly nextMs: readonly number[];
    };

/** What a producer does until a server says otherwise: 10 ms, doubled up to 1 s. */
export const defaultSendPolicy: RetryPolicy = {
  kind: "exponential",
  maxAttempts: 3,
  initialMs: 10,
  maxMs: 1_000,
  multiplier: 2,
};

/** What a push consumer does until a server says otherwise, RocketMQ's own steps. */
export const defaultConsumePolicy: RetryPolicy = {
  kind: "customized",
  maxAttempts: 17,
  nextMs: [
    1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200,
  ].map((seconds) => seconds * 1000),
};

/** Milliseconds to wait after attempt number `attempt` (from 1) before the next one. */
export function delayAfter(policy: RetryPolicy, attempt: number): number {
  if (policy.kind === "customized") {
    return policy.nextMs[Math.min(attempt, policy.nextMs.length) - 1] ?? 0;
  }
  return Math.min(policy.maxMs, policy.initialMs * policy.multiplier ** (attempt - 1));
}
