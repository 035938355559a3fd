// Branded numbers: places and indices that must not be mixed up, checked where they are made.
import { assert } from "./assert.ts";

/** A number that carries its meaning in its type. */
export type Brand<T, Name extends string> = T & { readonly __brand: Name };

/** Byte place in the commit log, `[0, 2^53 - 1]` (8 PiB). */
export type Position = Brand<number, "Position">;

/** Index of a message in its queue, `[0, 2^53 - 1]`. */
export type QueueOffset = Brand<number, "QueueOffset">;

/** One reign of a master, from 1; 0 means none yet. */
export type Epoch = Brand<number, "Epoch">;

// The message is only made when it is needed: these run several times per message.
function isPlace(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Makes a position. Stops the process (assert) when it is no whole number in `[0, 2^53 - 1]`. */
export function position(value: number): Position {
  if (!isPlace(value)) assert(false, `not a log position: ${value}`);
  return value as Position;
}

/** Makes a queue offset. Stops the process (assert) when it is no whole number in `[0, 2^53 - 1]`. */
export function queueOffset(value: number): QueueOffset {
  if (!isPlace(value)) assert(false, `not a queue offset: ${value}`);
  return value as QueueOffset;
}

/** Makes an epoch. Stops the process (assert) when it is no whole number in `[0, 2^53 - 1]`. */
export function epoch(value: number): Epoch {
  if (!isPlace(value)) assert(false, `not an epoch: ${value}`);
  return value as Epoch;
}
