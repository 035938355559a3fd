// The tag hash of consume queues: what Java's String.hashCode gives, so that hashes of the official
// clients and ours agree.

/** Java's `String.hashCode` of a tag as an unsigned 32-bit number; 0 without a tag. */
export function tagHash(tag: string | undefined): number {
  if (tag === undefined) return 0;
  let hash = 0;
  for (let index = 0; index < tag.length; index += 1) {
    hash = (Math.imul(hash, 31) + tag.charCodeAt(index)) | 0;
  }
  return hash >>> 0;
}
