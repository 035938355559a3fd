// The body of a snapshot record, one part of the whole state: docs/format/state.md.
import { epoch, position } from "../../base/index.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { type Applied, stateVersion } from "./state-values.ts";

/** What every part says of its snapshot. */
export interface SnapshotHead {
  /** The same in all parts of one snapshot, and different in any two. */
  readonly id: number;
  /** Number of this part, from 0. */
  readonly part: number;
  readonly isLast: boolean;
  /** Which part of the log the snapshot reflects: a replay starts at its position. */
  readonly asOf: Applied;
}

/** Collects the keys and sealed values of one part. */
export class SnapshotPart {
  readonly #entries = new ByteWriter(65_536);
  #count = 0;

  /** Bytes of the entries so far. */
  get size(): number {
    return this.#entries.size;
  }

  add(key: string, value: Uint8Array): void {
    this.#entries.text(key);
    this.#entries.bytes(value);
    this.#count += 1;
  }

  /** The body of the record, owned by the caller. */
  encode(head: SnapshotHead): Uint8Array {
    const writer = new ByteWriter();
    writer.byte(stateVersion);
    writer.unsigned(head.id);
    writer.unsigned(head.part);
    writer.byte(head.isLast ? 1 : 0);
    writer.unsigned(head.asOf.position);
    writer.unsigned(head.asOf.epoch);
    writer.unsigned(head.asOf.metadataVersion);
    writer.unsigned(this.#count);
    return Buffer.concat([writer.take(), this.#entries.take()]);
  }
}

/** Reads what a part says of its snapshot. Throws CORRUPT, also for a version this broker does not read. */
export function decodeSnapshotHead(body: Uint8Array): SnapshotHead {
  return readHead(openBody(body));
}

/** Gives each key with a view of its sealed value. Throws CORRUPT. */
export function* snapshotEntries(body: Uint8Array): Generator<[key: string, value: Uint8Array]> {
  const reader = openBody(body);
  readHead(reader);
  for (let left = reader.unsigned(); left > 0; left--) yield [reader.text(), reader.bytes()];
  reader.end();
}

function openBody(body: Uint8Array): ByteReader {
  const reader = new ByteReader(body, "snapshot record");
  const version = reader.byte();
  if (version < 1 || version > stateVersion) {
    throw reader.broken(`is of version ${version}: this broker reads up to ${stateVersion}`);
  }
  return reader;
}

function readHead(reader: ByteReader): SnapshotHead {
  return {
    id: reader.unsigned(),
    part: reader.unsigned(),
    isLast: reader.byte() === 1,
    asOf: {
      position: position(reader.unsigned()),
      epoch: epoch(reader.unsigned()),
      metadataVersion: reader.unsigned(),
    },
  };
}
