// A log in memory for tests of what follows the log: confirmed at once, and its beginning and end
// can be taken away as retention and power cuts do.
import { epoch, MqError, type Position, position, queueOffset } from "../../../base/index.ts";
import { type Appended, type EpochStart, type RecordDraft, RecordType } from "../../store/index.ts";
import type { LogFollower, LoggedQueue, LoggedRecord, StateLog } from "../state-log.ts";

const noBytes = new Uint8Array(0);
const headerSize = 80;
const batchCount = 16;

/** A log without files. */
export class SimulatedLog implements StateLog {
  readonly #records: LoggedRecord[] = [];
  readonly #queues = new Map<string, LoggedQueue>();
  /** Where queues go on, those of deleted topics too. */
  readonly #next = new Map<string, number>();
  #followers: LogFollower[] = [];
  #end = 0;
  #epoch = 0;
  /** When set, `flushTo` and `append` fail with it. */
  failure: Error | undefined;
  /** Positions that `flushTo` was asked for. */
  readonly flushes: number[] = [];

  get start(): Position {
    return position(this.#records[0]?.position ?? this.#end);
  }

  get end(): Position {
    return position(this.#end);
  }

  get epochs(): readonly EpochStart[] {
    const starts: EpochStart[] = [];
    for (const record of this.#records) {
      if (record.epoch === starts.at(-1)?.epoch) continue;
      starts.push({ epoch: epoch(record.epoch), position: record.position });
    }
    return starts;
  }

  /** All records kept. */
  get records(): readonly LoggedRecord[] {
    return this.#records;
  }

  /** Opens the next epoch, as a starting master does. */
  async begin(): Promise<void> {
    this.#epoch += 1;
    await this.append([draft(RecordType.epochStart, noBytes)]);
  }

  async append(group: readonly RecordDraft[]): Promise<readonly Appended[]> {
    if (this.failure !== undefined) throw this.failure;
    const appended = group.map((draft) => this.#add(draft));
    await Promise.resolve();
    for (const follower of this.#followers) follower.confirmed(this.#end);
    return appended;
  }

  /** Appends a message of a queue. */
  async message(topic: string, queueId: number): Promise<void> {
    await this.append([{ ...draft(RecordType.message, noBytes), topic, queueId }]);
  }

  /** Appends a progress record with this body. */
  async progress(body: Uint8Array): Promise<void> {
    await this.append([draft(RecordType.progress, body)]);
  }

  async *scan(from: Position): AsyncGenerator<LoggedRecord[]> {
    const index = this.#records.findIndex((record) => record.position === from);
    if (index === -1 && from !== this.#end) {
      throw new MqError("CORRUPT", `no record starts at ${from}`);
    }
    for (let first = index; first >= 0 && first < this.#records.length; first += batchCount) {
      yield this.#records.slice(first, first + batchCount);
    }
  }

  subscribe(follower: LogFollower): void {
    this.#followers.push(follower);
  }

  async flushTo(position: Position): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.flushes.push(position);
  }

  queues(): Iterable<LoggedQueue> {
    return this.#queues.values();
  }

  deleteTopic(topic: string): void {
    for (const [key, queue] of this.#queues) if (queue.topic === topic) this.#queues.delete(key);
  }

  /** Takes away all records before `from`, a record's start. */
  expire(from: number): void {
    while ((this.#records[0]?.position ?? from) < from) this.#records.shift();
  }

  /** Takes away all records from `end`, a record's start, on. */
  cut(end: number): void {
    while ((this.#records.at(-1)?.position ?? -1) >= end) this.#records.pop();
    this.#end = end;
    this.#epoch = this.epochs.at(-1)?.epoch ?? 0;
  }

  /** The process has ended: nobody follows any more. */
  restart(): void {
    this.#followers = [];
  }

  #add(source: RecordDraft): Appended {
    const isMessage = source.type === RecordType.message;
    const record = {
      type: source.type,
      epoch: this.#epoch,
      position: position(this.#end),
      size: headerSize + source.body.length,
      topic: source.topic,
      dueMs: source.dueMs ?? 0,
      body: Uint8Array.from(source.body),
    };
    this.#records.push(record);
    this.#end += record.size;
    if (!isMessage) for (const follower of this.#followers) follower.apply(record);
    const offset = isMessage ? this.#nextOffset(source) : 0;
    const { position: place, size } = record;
    return { position: place, size, queueOffset: queueOffset(offset), storeTimeMs: place };
  }

  #nextOffset({ topic, queueId }: RecordDraft): number {
    const key = `${topic}/${queueId}`;
    const offset = this.#next.get(key) ?? 0;
    const next = offset + 1;
    const minOffset = this.#queues.get(key)?.minOffset ?? offset;
    this.#next.set(key, next);
    this.#queues.set(key, { topic, queueId, minOffset, endOffset: next, nextOffset: next });
    return offset;
  }
}

function draft(type: number, body: Uint8Array): RecordDraft {
  return { type, topic: "", queueId: -1, systemProperties: noBytes, userProperties: noBytes, body };
}
