// Which queue a message group lives in, and how consume queues name it. Both are in the log or decide about order across
// restarts and brokers: never change them.
import { sipHash, sipStart } from "../../../base/index.ts";

const start = sipStart(new Uint8Array(16));
const two21 = 2 ** 21;

/** The first 53 bits of SipHash-2-4 under a key of zeros, over UTF-8; 1 instead of 0, which is no message group. */
export function messageGroupHash(group: string): number {
  const { low, high } = sipHash(start, Buffer.from(group));
  return (low >>> 0) * two21 + (high >>> 11) || 1;
}

/**
 * The queue of a message group among `queueCount`: a jump consistent hash (Lamping and Veach, 2014), so that of n + 1
 * queues the new one takes 1/(n + 1) of the message groups and all others stay where they are.
 */
export function queueOfMessageGroup(hash: number, queueCount: number): number {
  // 32 bits of a linear congruential generator (Numerical Recipes) stand for the paper's 64.
  let seed = Math.floor(hash / two21) ^ hash;
  let queue = 0;
  for (let next = 0; next < queueCount; ) {
    queue = next;
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) | 0;
    // Never 0: the first 1 divides by at most 2^32.
    next = Math.floor((queue + 1) * (2 ** 32 / ((seed >>> 0) + 1)));
  }
  return queue;
}
