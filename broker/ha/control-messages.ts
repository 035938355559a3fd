// What brokers say to each other beside the bytes of the log, as JSON in control frames: docs/format/replication.md.
// Reads nothing unchecked.
import { MqError } from "../../base/index.ts";

/** One reign in a log. */
export interface EpochEntry {
  readonly epoch: number;
  /** Where it starts, or what retention has left of it. */
  readonly start: number;
}

/** Which part of the common log a broker has. */
export interface LogExtent {
  readonly epochs: readonly EpochEntry[];
  readonly start: number;
  readonly end: number;
}

/** Who a broker is. */
export interface Identity {
  readonly cluster: string;
  readonly brokerName: string;
  readonly brokerId: number;
  /** Tells one process from the next. */
  readonly instanceId: string;
  /** Host that others reach it by; empty: the one it is seen at. */
  readonly host: string;
  readonly grpcPort: number;
  readonly haPort: number;
}

/** Why a link is made: to copy a master's log, to learn where a log stands, to copy a slave's log back, to take an overlay back, to have a copy of one kept. */
export type Purpose = "follow" | "inspect" | "copy" | "overlay" | "keep";

/** First words of the one who dials. */
export interface Hello extends Identity, LogExtent {
  readonly kind: "hello";
  readonly purpose: Purpose;
  /** Whether it flushes what it has written before it says so, as SYNC_FLUSH does. */
  readonly isFlushing: boolean;
  /** Everything before it is on its disk. */
  readonly flushed: number;
}

/** First words of the one who was dialled. */
export interface Welcome extends Identity, LogExtent {
  readonly kind: "welcome";
  readonly standing: "master" | "acting" | "slave" | "none";
  /** Reign of a master; of others the newest in the log. */
  readonly epoch: number;
  readonly confirmed: number;
  readonly hasOverlay: boolean;
  /** Whether who follows may cut what this log does not have. */
  readonly mayCut: boolean;
}

/** The bytes before the common point, as a hash, so that both know that they agree. */
export interface Proof {
  readonly kind: "proof";
  /** The common point. */
  readonly position: number;
  /** The hash is over `[from, position)`. */
  readonly from: number;
  /** SHA-256, hex. */
  readonly hash: string;
}

/** The log comes now, from `position` on, written or handed on by the master of `epoch`. */
export interface Begin {
  readonly kind: "begin";
  readonly position: number;
  readonly epoch: number;
}

/** Why a link is of no use. */
export type RefusalCode =
  | "wrongCluster"
  | "notMaster"
  | "diverged"
  | "gone"
  | "duplicateId"
  | "tooMany"
  | "failed";

/** The link ends. */
export interface Refuse {
  readonly kind: "refuse";
  readonly code: RefusalCode;
  readonly message: string;
}

/** The state, because the bytes that a slave needs are gone. */
export interface SnapshotRequest {
  readonly kind: "snapshotRequest";
}

/** Parts follow; then the log is followed from `logStart` on, and the state is good for it from `asOf` on. */
export interface SnapshotBegin {
  readonly kind: "snapshotBegin";
  readonly epoch: number;
  readonly asOf: number;
  readonly logStart: number;
}

/** All parts have been sent: so many, with this `partChecksum` over all of them. */
export interface PartsEnd {
  readonly kind: "partsEnd";
  readonly count: number;
  readonly checksum: number;
}

/** The master has what the overlay holds, durably: it may be forgotten. */
export interface OverlayTaken {
  readonly kind: "overlayTaken";
}

export type ControlMessage =
  | Hello
  | Welcome
  | Proof
  | Begin
  | Refuse
  | SnapshotRequest
  | SnapshotBegin
  | PartsEnd
  | OverlayTaken;

type Check = (value: unknown) => boolean;

const text: Check = (value) => typeof value === "string" && value.length <= 4_096;
const count: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const flag: Check = (value) => typeof value === "boolean";
const sha256: Check = (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
const oneOf = (...words: readonly string[]): Check => {
  return (value) => typeof value === "string" && words.includes(value);
};
const epochTable: Check = (value) =>
  Array.isArray(value) && value.every(isEpoch) && isAscending(value);

const identity = {
  cluster: text,
  brokerName: text,
  brokerId: count,
  instanceId: text,
  host: text,
  grpcPort: count,
  haPort: count,
};
const extent = { epochs: epochTable, start: count, end: count };

const shapes: Readonly<Record<ControlMessage["kind"], Readonly<Record<string, Check>>>> = {
  hello: {
    ...identity,
    ...extent,
    purpose: oneOf("follow", "inspect", "copy", "overlay", "keep"),
    isFlushing: flag,
    flushed: count,
  },
  welcome: {
    ...identity,
    ...extent,
    standing: oneOf("master", "acting", "slave", "none"),
    epoch: count,
    confirmed: count,
    hasOverlay: flag,
    mayCut: flag,
  },
  proof: { position: count, from: count, hash: sha256 },
  begin: { position: count, epoch: count },
  refuse: {
    code: oneOf(
      "wrongCluster",
      "notMaster",
      "diverged",
      "gone",
      "duplicateId",
      "tooMany",
      "failed",
    ),
    message: text,
  },
  snapshotRequest: {},
  snapshotBegin: { epoch: count, asOf: count, logStart: count },
  partsEnd: { count, checksum: count },
  overlayTaken: {},
};

/** Reads a control message. Throws BAD_REQUEST naming the field that is wrong. Unknown fields are passed over. */
export function readControl(json: string): ControlMessage {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    throw new MqError("BAD_REQUEST", "a control message of the replication is no JSON");
  }
  if (typeof value !== "object" || value === null) {
    throw new MqError("BAD_REQUEST", "a control message of the replication is no object");
  }
  const fields = new Map<string, unknown>(Object.entries(value));
  const kind = String(fields.get("kind"));
  if (!isKind(kind)) {
    throw new MqError("BAD_REQUEST", `the replication knows no message ${JSON.stringify(kind)}`);
  }
  for (const [name, check] of Object.entries(shapes[kind])) {
    if (check(fields.get(name))) continue;
    throw new MqError("BAD_REQUEST", `the field ${name} of the message ${kind} is wrong`);
  }
  // Each field of its kind has been looked at.
  return value as ControlMessage;
}

/** Both numbers grow from reign to reign. */
function isAscending(table: readonly EpochEntry[]): boolean {
  return table.every(({ epoch, start }, index) => {
    const before = table[index - 1];
    return before === undefined || (before.epoch < epoch && before.start < start);
  });
}

function isKind(kind: string): kind is ControlMessage["kind"] {
  return Object.hasOwn(shapes, kind);
}

function isEpoch(value: unknown): value is EpochEntry {
  if (typeof value !== "object" || value === null) return false;
  const { epoch, start } = value as Partial<EpochEntry>;
  return count(epoch) && count(start);
}
