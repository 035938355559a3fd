// Checks that a received body is the one that was sent, by the digest the broker gives with it.
import { hash } from "node:crypto";
import { crc32, unzipSync } from "node:zlib";

/** Values of `apache.rocketmq.v2.DigestType`. */
export const digestType = { crc32: 1, md5: 2, sha1: 3 } as const;

/** Bodies that unpack to more than this many bytes count as corrupted. */
export const unpackedSizeMaxBytes: number = 128 * 1024 * 1024;

/**
 * Whether `checksum` is the digest of `body` (the bytes as they travelled, before unpacking). Hex in
 * either case; CRC32 also with fewer leading zeros or in decimal, as official clients write it.
 * An unknown or missing digest type cannot be checked and passes.
 */
export function digestMatches(body: Uint8Array, type: number, checksum: string): boolean {
  switch (type) {
    case digestType.md5:
      return hash("md5", body, "hex") === checksum.toLowerCase();
    case digestType.sha1:
      return hash("sha1", body, "hex") === checksum.toLowerCase();
    case digestType.crc32:
      return crc32Matches(crc32(body), checksum.toLowerCase());
    default:
      return true;
  }
}

function crc32Matches(sum: number, checksum: string): boolean {
  return checksum.replace(/^0+(?=.)/, "") === sum.toString(16) || checksum === String(sum);
}

/** The unpacked body, or undefined when it is neither gzip nor zlib or unpacks to too much. */
export function unpackBody(body: Uint8Array): Buffer | undefined {
  try {
    return unzipSync(body, { maxOutputLength: unpackedSizeMaxBytes });
  } catch {
    return undefined;
  }
}
