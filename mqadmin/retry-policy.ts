// The retry policy of a group as RocketMQ's tool writes it: JSON with a type and its numbers in milliseconds.
import { UsageFailure } from "./failure.ts";

interface Duration {
  readonly seconds: number;
  readonly nanos: number;
}

/** The policy as the wire has it. */
export interface WirePolicy {
  readonly customizedBackoff?: { readonly next: Duration[] };
  readonly exponentialBackoff?: {
    readonly initial: Duration;
    readonly max: Duration;
    readonly multiplier: number;
  };
}

const forms =
  '{"type":"CUSTOMIZED","customizedRetryPolicy":{"next":[1000,5000]}} or ' +
  '{"type":"EXPONENTIAL","exponentialRetryPolicy":{"initial":5000,"max":7200000,"multiplier":2}}';

/** Reads the policy; undefined stays undefined. Throws UsageFailure that shows the two forms. */
export function parseRetryPolicy(text: string | undefined): WirePolicy | undefined {
  if (text === undefined) return undefined;
  const policy = object(parseJson(text));
  if (policy["type"] === "CUSTOMIZED") {
    const next = object(policy["customizedRetryPolicy"])["next"];
    if (!Array.isArray(next) || next.length === 0) throw wrong();
    return { customizedBackoff: { next: next.map((ms) => duration(ms)) } };
  }
  if (policy["type"] !== "EXPONENTIAL") throw wrong();
  const given = object(policy["exponentialRetryPolicy"]);
  const multiplier = Number(given["multiplier"] ?? 2);
  if (!(multiplier > 0)) throw wrong();
  return {
    exponentialBackoff: {
      initial: duration(given["initial"]),
      max: duration(given["max"]),
      multiplier,
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw wrong();
  }
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) throw wrong();
  return value as Readonly<Record<string, unknown>>;
}

function duration(ms: unknown): Duration {
  if (typeof ms !== "number" || !(ms >= 0)) throw wrong();
  return { seconds: Math.floor(ms / 1000), nanos: Math.round((ms % 1000) * 1_000_000) };
}

function wrong(): UsageFailure {
  return new UsageFailure(`--groupRetryPolicy must be ${forms}`);
}
