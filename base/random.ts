// Randomness, as a thing that is handed in, so that a simulation can replay a seed.
import { randomBytes } from "node:crypto";

/** The only source of random numbers. */
export interface Random {
  /** A number in `[0, 1)`. */
  next(): number;
  /** `size` unpredictable bytes, owned by the caller. */
  bytes(size: number): Buffer;
}

/** The machine's randomness. */
export const systemRandom: Random = {
  next: () => Math.random(),
  bytes: (size) => randomBytes(size),
};
