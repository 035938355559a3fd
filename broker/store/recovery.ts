// Start of a store: finds the end of the log, cuts a torn tail, stops at damage, and brings the
// consume queues and the epoch table up to that end. The rules are in docs/format/commit-log.md.
import type { Logger } from "../../base/index.ts";
import { MqError } from "../../base/index.ts";
import { type Checkpoint, type EpochStart, readCheckpoint } from "./checkpoint.ts";
import type { ConsumeQueues } from "./consume-queues.ts";
import type { Disk } from "./disk.ts";
import { type FlushMark, readFlushMark } from "./flush-mark.ts";
import { type BadRecord, corruptError, findRecord, LogScanner } from "./log-scanner.ts";
import { continueQueue } from "./queue-continuation.ts";
import type { QueueFiles } from "./queue-files.ts";
import { isQueued, type RecordView, recordMagic } from "./record.ts";
import type { Segments } from "./segments.ts";

/** What recovery works on. */
export interface RecoveryParts {
  readonly disk: Disk;
  readonly logger: Logger;
  readonly folder: string;
  readonly segments: Segments;
  readonly queues: ConsumeQueues;
  readonly files: QueueFiles;
  /** Bytes at the log's end that are verified at every start. */
  readonly verifySizeBytes: number;
}

/** What is known after recovery. */
export interface Recovered {
  readonly end: number;
  /** Ascending; empty when the log never had an epoch. */
  readonly epochs: readonly EpochStart[];
  /** Store time of the last record; 0 when there is none. */
  readonly storeTimeMs: number;
}

/** Recovers the store in `folder`. Throws CORRUPT, changing nothing, when the log is damaged. */
export async function recover(parts: RecoveryParts): Promise<Recovered> {
  const { disk, folder, segments } = parts;
  const mark = await readFlushMark(disk, folder);
  checkGaps(segments, mark?.position ?? segments.end);
  const checkpoint = await usableCheckpoint(parts);
  const from = await scanStart(segments, checkpoint, parts.verifySizeBytes);
  const log = new LogReplay(parts.queues, checkpoint, segments.start);
  if (checkpoint === undefined) await parts.files.removeAll();
  const scanner = new LogScanner(segments, from, segments.end);
  for (;;) {
    const records = await scanner.next();
    if (records.length === 0) break;
    for (const record of records) log.take(record);
    if (parts.queues.isPressed) await parts.queues.save({ everything: true });
  }
  const end = log.groupStart ?? scanner.position;
  await settleEnd(parts, { mark, end, bad: scanner.bad });
  log.finish();
  if (mark === undefined) await segments.sync(0);
  else await segments.writeAgain(mark.position);
  return { end, epochs: log.epochs, storeTimeMs: log.storeTimeMs };
}

/** The log is read from its end only, so a file that is missing or short before that is looked for here. */
function checkGaps(segments: Segments, flushed: number): void {
  const { all } = segments;
  for (const [index, { path, end }] of all.entries()) {
    const next = all[index + 1];
    if (next === undefined || next.start === end || end >= flushed) continue;
    throw new MqError(
      "CORRUPT",
      `the log file ${path} ends at position ${end}, but the next one starts at ${next.start}`,
      { facts: { file: path, position: end } },
    );
  }
}

async function usableCheckpoint(parts: RecoveryParts): Promise<Checkpoint | undefined> {
  const found = await readCheckpoint(parts.disk, parts.folder);
  if (found === undefined) return undefined;
  const { start, end } = parts.segments;
  if (found.position >= start && found.position <= end) {
    const missing = await parts.files.missingFolder(found.queues);
    if (missing === undefined) return found;
    parts.logger.warn("files of consume queues are missing: all queues are rebuilt", {
      folder: missing,
    });
    return undefined;
  }
  if (found.position > end) {
    // Queue files are only called safe up to what the log had flushed.
    throw new MqError(
      "CORRUPT",
      `the log in ${parts.segments.folder} ends at position ${end}, but it was flushed up to ${found.position}`,
      { facts: { file: parts.segments.all.at(-1)?.path ?? "", position: end } },
    );
  }
  parts.logger.warn("the checkpoint lies before the log: all queues are rebuilt", {
    checkpoint: found.position,
    start,
  });
  return undefined;
}

/** The record to start at: what the checkpoint does not cover, and at least the last `verifySize` bytes. */
async function scanStart(
  segments: Segments,
  checkpoint: Checkpoint | undefined,
  verifySize: number,
): Promise<number> {
  const { start, end } = segments;
  if (checkpoint === undefined || end - verifySize <= start) return start;
  const wanted = end - verifySize;
  if (checkpoint.position <= wanted) return checkpoint.position;
  const segment = segments.find(wanted);
  const near = segment?.start ?? start;
  if (wanted - near <= verifySize) return near;
  const found = await findRecord(segments, wanted);
  return Math.min(found ?? checkpoint.position, checkpoint.position);
}

interface FoundEnd {
  readonly mark: FlushMark | undefined;
  /** Behind the last whole group. */
  readonly end: number;
  readonly bad: BadRecord | undefined;
}

async function settleEnd(parts: RecoveryParts, found: FoundEnd): Promise<void> {
  const { segments, logger } = parts;
  const { mark, end, bad } = found;
  if (bad?.fault === "version") throw corruptError(bad);
  const next = bad === undefined ? undefined : await findRecord(segments, bad.position + 8);
  if (bad !== undefined) await refuseDamage(parts, mark, { bad, next });
  const last = segments.all.at(-1);
  if (mark !== undefined && end < mark.position) {
    throw new MqError(
      "CORRUPT",
      `the log ends at position ${end} in ${last?.path ?? segments.folder}, but it was flushed up to ${mark.position}`,
      { facts: { file: last?.path ?? segments.folder, position: end } },
    );
  }
  const cutBytes = segments.end - end;
  if (cutBytes === 0) return;
  if (mark === undefined && end === segments.start) await refuseForeignLog(segments);
  logger.warn("the log's tail was not written completely: it is cut", {
    position: end,
    cutBytes,
    reason: bad?.fault ?? "group",
    recordsBehind: next !== undefined,
  });
  await segments.truncate(end);
}

// A store without a flush mark whose log begins with something else than a record was never ours:
// RocketMQ's files have the same names. What a power cut leaves of a first write begins with zeros.
async function refuseForeignLog(segments: Segments): Promise<void> {
  const first = segments.all[0];
  if (first === undefined) return;
  const head = Buffer.alloc(8);
  await segments.use(first, (file) => file.read(head, 0));
  if (head.readUInt32BE(4) === 0 || head.readUInt32BE(4) === recordMagic) return;
  throw new MqError(
    "CORRUPT",
    `${first.path} does not begin with a record of CometMQ; it is left untouched. ` +
      "Is it the store of another program? Set storePathRootDir to a folder of its own.",
    { facts: { file: first.path, position: segments.start } },
  );
}

async function refuseDamage(
  parts: RecoveryParts,
  mark: FlushMark | undefined,
  found: { readonly bad: BadRecord; readonly next: number | undefined },
): Promise<void> {
  const { bad, next } = found;
  if (mark !== undefined && bad.position < mark.position) {
    throw corruptError(bad, `, but the log was flushed up to ${mark.position}`);
  }
  if (next === undefined) return;
  // As long as the machine has not stopped, every write is there, in order: a hole is damage. After
  // a power cut, pages that were never flushed may be missing before others that are there.
  const bootId = await parts.disk.bootId();
  if (mark === undefined || (bootId !== "" && mark.bootId === bootId)) {
    throw corruptError(bad, `, but there are good records behind it, at ${next}`);
  }
}

/** Replays records onto queues and epochs, a whole group at a time. */
class LogReplay {
  readonly #queues: ConsumeQueues;
  readonly #from: number;
  readonly #group: RecordView[] = [];
  readonly epochs: EpochStart[];
  storeTimeMs = 0;

  constructor(queues: ConsumeQueues, checkpoint: Checkpoint | undefined, start: number) {
    this.#queues = queues;
    this.#from = checkpoint?.position ?? start;
    this.epochs = [...(checkpoint?.epochs ?? [])];
    for (const bounds of checkpoint?.queues ?? []) queues.restoreSaved(bounds);
  }

  /** Where the group that is not complete yet starts. */
  get groupStart(): number | undefined {
    return this.#group[0]?.position;
  }

  take(record: RecordView): void {
    const before = this.#group.at(-1);
    if (before !== undefined && before.groupRest !== record.groupRest + 1) {
      throw brokenGroupError(record);
    }
    this.#group.push(record);
    if (record.groupRest > 0) return;
    for (const member of this.#group) this.#apply(member);
    this.#group.length = 0;
  }

  finish(): void {
    this.#group.length = 0;
  }

  #apply(record: RecordView): void {
    this.storeTimeMs = Math.max(this.storeTimeMs, record.storeTimeMs);
    if (record.position < this.#from) return;
    // An epoch opens with its epoch-start record; when retention took that, with what is left of it.
    if (this.epochs.at(-1)?.epoch !== record.epoch) {
      this.epochs.push({ epoch: record.epoch, position: record.position });
    }
    if (isQueued(record.type)) this.#enqueue(record);
  }

  #enqueue(record: RecordView): void {
    const queue = this.#queues.ensure(record.topic, record.queueId);
    // Known already: the queue's bounds were noted after this record.
    if (record.queueOffset < queue.nextOffset) return;
    continueQueue(queue, record);
    queue.add(record);
    queue.confirmOne();
    this.#queues.markDirty(queue);
  }
}

function brokenGroupError(record: RecordView): MqError {
  const { position } = record;
  return new MqError(
    "CORRUPT",
    `the record at position ${position} follows a group of records that is not complete`,
    { facts: { position } },
  );
}
