// The checkpoint file: up to which log position the consume queues are safe in their files, and
// where each queue and epoch starts. docs/format/checkpoint.md. It only saves work: without it
// everything in it is rebuilt from the log.
import { crc32 } from "node:zlib";
import {
  type Epoch,
  type Position,
  epoch as toEpoch,
  position as toPosition,
} from "../../base/index.ts";
import type { QueueBounds } from "./consume-queues.ts";
import { type Disk, readWhole, replaceWhole } from "./disk.ts";

/** Where one epoch starts in the log. */
export interface EpochStart {
  readonly epoch: Epoch;
  /** Position of its epoch-start record, or of the first one that retention left. */
  readonly position: Position;
}

/** What is remembered of a moment. */
export interface Checkpoint {
  /** Queue entries of all records before it are durable in the queue files. */
  readonly position: number;
  /** Epochs whose start lies before `position`, ascending. */
  readonly epochs: readonly EpochStart[];
  /** Bounds of every queue as of `position`. */
  readonly queues: readonly QueueBounds[];
}

/** Its name in the data folder. */
export const checkpointFile = "checkpoint";
const firstWord = "cometmq-checkpoint-1";

/** Replaces the checkpoint, durably. */
export async function writeCheckpoint(
  disk: Disk,
  folder: string,
  checkpoint: Checkpoint,
): Promise<void> {
  const topics = new Map<string, number[]>();
  for (const { topic, queueId, minOffset, nextOffset } of checkpoint.queues) {
    const list = topics.get(topic);
    if (list === undefined) topics.set(topic, [queueId, minOffset, nextOffset]);
    else list.push(queueId, minOffset, nextOffset);
  }
  const body = JSON.stringify({
    position: checkpoint.position,
    epochs: checkpoint.epochs.map(({ epoch, position }) => [epoch, position]),
    topics: Object.fromEntries(topics),
  });
  const bytes = Buffer.from(body, "utf8");
  const head = `${firstWord} ${crc32(bytes).toString(16).padStart(8, "0")}\n`;
  await replaceWhole(
    disk,
    { folder, name: checkpointFile },
    Buffer.concat([Buffer.from(head), bytes]),
  );
}

/** Reads the checkpoint; undefined when it is missing, damaged or of another version. */
export async function readCheckpoint(disk: Disk, folder: string): Promise<Checkpoint | undefined> {
  const bytes = await readWhole(disk, `${folder}/${checkpointFile}`);
  if (bytes === undefined) return undefined;
  const headEnd = bytes.indexOf("\n");
  const [word, sum] = bytes.toString("utf8", 0, Math.max(0, headEnd)).split(" ");
  const body = bytes.subarray(headEnd + 1);
  if (word !== firstWord || Number.parseInt(sum ?? "", 16) !== crc32(body)) return undefined;
  // The checksum vouches for the shape: these are bytes that writeCheckpoint made.
  const found = JSON.parse(body.toString("utf8")) as {
    readonly position: number;
    readonly epochs: readonly (readonly [number, number])[];
    readonly topics: Readonly<Record<string, readonly number[]>>;
  };
  return {
    position: found.position,
    epochs: found.epochs.map(([epoch, position]) => ({
      epoch: toEpoch(epoch),
      position: toPosition(position),
    })),
    queues: [...queuesOf(found.topics)],
  };
}

function* queuesOf(topics: Readonly<Record<string, readonly number[]>>): Generator<QueueBounds> {
  for (const [topic, list] of Object.entries(topics)) {
    for (let index = 0; index + 2 < list.length; index += 3) {
      const [queueId = 0, minOffset = 0, nextOffset = 0] = list.slice(index, index + 3);
      yield { topic, queueId, minOffset, nextOffset };
    }
  }
}
