// Which of the brokers of a topic a message group lives on.
import { messageGroupHash } from "./message-group-hash.ts";

/**
 * The broker of a message group among `brokerNames`: the one with the highest weight for it (rendezvous hashing, Thaler and
 * Ravishankar, 1996), so that of n + 1 brokers the new one takes 1/(n + 1) of the message groups and no others move.
 * `hash` as `messageGroupHash` gives it. The order of the names does not matter. "" when there are none.
 */
export function brokerOfMessageGroup(hash: number, brokerNames: readonly string[]): string {
  let best = "";
  let bestWeight = -1;
  for (const name of brokerNames) {
    const weight = mixed(hash, nameHash(name));
    if (weight < bestWeight || (weight === bestWeight && name > best)) continue;
    best = name;
    bestWeight = weight;
  }
  return best;
}

const nameHashes = new Map<string, number>();

function nameHash(name: string): number {
  let hash = nameHashes.get(name);
  if (hash === undefined) {
    hash = messageGroupHash(name);
    if (nameHashes.size < nameHashesMax) nameHashes.set(name, hash);
  }
  return hash;
}

/** 32 bits of two hashes of 53 bits (the finalizer of MurmurHash3). */
function mixed(one: number, other: number): number {
  let bits = (one ^ Math.floor(one / 2 ** 32)) | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits ^= (other ^ Math.floor(other / 2 ** 32)) | 0;
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  return (bits ^ (bits >>> 13)) >>> 0;
}

const nameHashesMax = 1_024;
