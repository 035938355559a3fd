// A digest of all that is in the database, kept up with every write and compared at start: LevelDB
// does not verify what it reads, and may leave out damaged keys or a lost write without a word.

/** What all keys and sealed values together are. */
export interface StateDigest {
  /** Keys. */
  readonly count: number;
  /** Sum of the checksums, modulo 2^48. */
  readonly sum: number;
}

/** The digest of an empty database. */
export const emptyDigest: StateDigest = { count: 0, sum: 0 };

const modulus = 2 ** 48;

/** The digest with one more sealed value. */
export function digestWith(digest: StateDigest, value: Uint8Array): StateDigest {
  return { count: digest.count + 1, sum: (digest.sum + checksumIn(value)) % modulus };
}

/** The digest with one sealed value less. */
export function digestWithout(digest: StateDigest, value: Uint8Array): StateDigest {
  const sum = (digest.sum - checksumIn(value) + modulus) % modulus;
  return { count: digest.count - 1, sum };
}

/** Whether two databases hold the same, as far as their digests say. */
export function isSameDigest(left: StateDigest, right: StateDigest): boolean {
  return left.count === right.count && left.sum === right.sum;
}

/** A sealed value starts with the checksum over its key and content. */
function checksumIn(value: Uint8Array): number {
  if (value.length < 4) return 0;
  return new DataView(value.buffer, value.byteOffset, value.byteLength).getUint32(0);
}
