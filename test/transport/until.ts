// Waiting for a condition, with a deadline, instead of sleeping.
import { setTimeout as delay } from "node:timers/promises";

/** Resolves when `condition` holds; rejects after `timeoutMs`, saying what did not come. */
export async function until(
  what: string,
  condition: () => boolean,
  timeoutMs = 10_000,
): Promise<void> {
  const endMs = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`did not come: ${what}`);
    await delay(2);
  }
}
