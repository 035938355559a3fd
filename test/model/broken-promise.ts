// How the model says that a broker has not kept a promise.

/** A promise was broken. */
export class BrokenPromise extends Error {}

/** Fails unless `holds`. */
export function expect(holds: boolean, problem: string): asserts holds {
  if (!holds) throw new BrokenPromise(problem);
}
