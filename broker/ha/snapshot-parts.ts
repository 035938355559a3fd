// The state on its way to a slave: keys and sealed values, packed into parts. docs/format/replication.md.
import { MqError } from "../../base/index.ts";

/** One key with its sealed value, as the state database has it. */
export type StateEntry = readonly [key: string, value: Uint8Array];

const partSize = 262_144;

/** Packs entries into parts of about 256 KiB. */
export function* packParts(entries: Iterable<StateEntry>): Generator<Buffer> {
  let pieces: Uint8Array[] = [];
  let size = 0;
  for (const [key, value] of entries) {
    const head = Buffer.alloc(8);
    const name = Buffer.from(key, "utf8");
    head.writeUInt32BE(name.length, 0);
    head.writeUInt32BE(value.length, 4);
    pieces.push(head, name, value);
    size += 8 + name.length + value.length;
    if (size < partSize) continue;
    yield Buffer.concat(pieces);
    pieces = [];
    size = 0;
  }
  if (size > 0) yield Buffer.concat(pieces);
}

/** Reads a part; values are copies. Throws BAD_REQUEST. */
export function unpackPart(bytes: Buffer): StateEntry[] {
  const entries: StateEntry[] = [];
  for (let place = 0; place < bytes.length; ) {
    if (bytes.length - place < 8) throw shortPart();
    const keyEnd = place + 8 + bytes.readUInt32BE(place);
    const end = keyEnd + bytes.readUInt32BE(place + 4);
    if (end > bytes.length) throw shortPart();
    entries.push([
      bytes.toString("utf8", place + 8, keyEnd),
      Uint8Array.from(bytes.subarray(keyEnd, end)),
    ]);
    place = end;
  }
  return entries;
}

function shortPart(): MqError {
  return new MqError("BAD_REQUEST", "a part of a snapshot ends within an entry");
}
