// The digest that a message gets when its sender gave none: Node.js and C# cannot read a message without one.
import { hash } from "node:crypto";

const digestMd5 = 2;

/** All clients agree on MD5 in upper-case hex. */
export function md5Digest(body: Uint8Array): { readonly type: number; readonly checksum: string } {
  return { type: digestMd5, checksum: hash("md5", body, "hex").toUpperCase() };
}
