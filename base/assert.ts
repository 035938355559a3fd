// Assertions guard against bugs in our own code, never against input.

/** Throws an AssertionError naming `message` when `condition` is false. A thrown assertion is a bug and ends the process. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** A broken invariant of ours. Nothing catches it on purpose: the process stops and recovery decides. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}
