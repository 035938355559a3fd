// Writes what changed in all lanes as progress records, gathered for a moment: one atomic group of records
// at a time, so that what the log holds is always a whole state. Copies for dead-letter topics go into the
// same group as the end of their originals.
import { background, type Logger, limits, MqError, toMqError } from "../../base/index.ts";
import { encodeProgress, type ProgressChange } from "../metadata/index.ts";
import { type RecordDraft, RecordType } from "../store/index.ts";
import type { DeliveryCounters } from "./counters.ts";
import type { Lane, LaneChange, LaneJournal, PendingMessage } from "./lane.ts";
import { Fifo } from "./order/fifo.ts";
import type { DeliveryStore } from "./ports.ts";
import type { Alarm, Timeline } from "./timeline.ts";

/** A copy for a dead-letter topic. */
interface Burial {
  readonly entry: PendingMessage;
  readonly copy: RecordDraft;
  readonly resolve: () => void;
  readonly reject: (error: MqError) => void;
}

/** Somebody who wants to know that what has changed is in the log. */
interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: MqError) => void;
}

interface Batch {
  readonly changes: readonly LaneChange[];
  readonly burials: readonly Burial[];
  readonly waiters: readonly Waiter[];
  readonly drafts: readonly RecordDraft[];
}

const nothing = new Uint8Array(0);

/** The journal of all lanes. */
export class ProgressWriter implements LaneJournal {
  readonly #store: DeliveryStore;
  readonly #timeline: Timeline;
  readonly #logger: Logger;
  readonly #counters: DeliveryCounters;
  readonly #alarm: Alarm = {
    dueAtMs: 0,
    heapIndex: -1,
    ring: () => background(this.flush()),
  };
  #changed: Lane[] = [];
  readonly #burials = new Fifo<Burial>();
  #waiters: Waiter[] = [];
  #writing: Promise<void> | undefined;
  #retryAtMs = 0;
  #isFailing = false;
  #isClosed = false;

  constructor(parts: {
    readonly store: DeliveryStore;
    readonly timeline: Timeline;
    readonly logger: Logger;
    readonly counters: DeliveryCounters;
  }) {
    this.#store = parts.store;
    this.#timeline = parts.timeline;
    this.#logger = parts.logger;
    this.#counters = parts.counters;
  }

  changed(lane: Lane): void {
    if (lane.journaled || lane.dropped) return;
    lane.journaled = true;
    this.#changed.push(lane);
    this.#arm();
  }

  /**
   * Writes `copy` and the end of `entry` in one group: its state is "moving" meanwhile and after it. Resolves without
   * having written anything when it was ended before. Rejects with what the store says; nothing has changed then.
   */
  bury(entry: PendingMessage, copy: RecordDraft): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new MqError("SHUTTING_DOWN", "the broker is stopping"));
      this.#burials.push({ entry, copy, resolve, reject });
      background(this.flush());
    });
  }

  /** Writes what has changed until now. Rejects with what the store says; it is written later then. */
  written(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new MqError("SHUTTING_DOWN", "the broker is stopping"));
      this.#waiters.push({ resolve, reject });
      background(this.flush());
    });
  }

  /** Writes what has changed until now. Failures are kept for a later try. */
  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    const batch = this.#takeBatch();
    if (batch === undefined) return;
    this.#writing = this.#write(batch).finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
    if (this.#burials.length > 0) background(this.flush());
  }

  /** Writes a last time and stops. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.flush();
    for (let left = this.#burials.shift(); left !== undefined; left = this.#burials.shift()) {
      left.reject(new MqError("SHUTTING_DOWN", "the broker is stopping"));
    }
    this.#timeline.cancel(this.#alarm);
  }

  #arm(): void {
    if (this.#alarm.heapIndex >= 0) return;
    const atMs = this.#timeline.nowMs() + limits.progressWindowMs;
    this.#timeline.set(this.#alarm, Math.max(atMs, this.#retryAtMs));
  }

  async #write(batch: Batch): Promise<void> {
    const error = await this.#append(batch.drafts);
    for (const { resolve, reject } of batch.waiters) {
      if (error === undefined) resolve();
      else reject(error);
    }
    if (error === undefined || isInLog(error)) {
      // A disk that is late and full may still take it back. Twice is the same as once, except for copies.
      const mayGo = error?.code === "MASTER_PERSISTENCE_TIMEOUT" && batch.burials.length === 0;
      if (mayGo) putBack(batch);
      for (const burial of batch.burials) burial.resolve();
      if (this.#isFailing) this.#logger.info("consumer progress is written again");
      this.#isFailing = false;
      return;
    }
    this.#counters.progressFailures++;
    this.#retryAtMs = this.#timeline.nowMs() + limits.progressRetryDelayMs;
    if (!this.#isFailing) {
      this.#logger.warn("consumer progress cannot be written now; a restart would redeliver", {
        code: error.code,
        error: error.message,
      });
    }
    this.#isFailing = true;
    putBack(batch);
    for (const { entry, reject } of batch.burials) {
      if (entry.state === "moving") entry.state = "dying";
      reject(error);
    }
  }

  async #append(drafts: readonly RecordDraft[]): Promise<MqError | undefined> {
    try {
      await this.#store.append(drafts);
      return undefined;
    } catch (thrown) {
      return toMqError(thrown);
    }
  }

  #takeBatch(): Batch | undefined {
    const burials = this.#takeBurials();
    const buried = new Map<Lane, PendingMessage[]>();
    for (const { entry } of burials) {
      const entries = buried.get(entry.lane);
      if (entries === undefined) buried.set(entry.lane, [entry]);
      else entries.push(entry);
      this.changed(entry.lane);
    }
    const changes: LaneChange[] = [];
    for (const lane of this.#changed) {
      lane.journaled = false;
      if (!lane.dropped) changes.push(lane.takeChange(buried.get(lane)));
    }
    this.#changed = [];
    const waiters = this.#waiters;
    this.#waiters = [];
    this.#timeline.cancel(this.#alarm);
    if (changes.length === 0) {
      // All of it is in the log already.
      for (const { resolve } of waiters) resolve();
      return undefined;
    }
    const drafts = burials.map((burial) => burial.copy);
    return { changes, burials, waiters, drafts: [...drafts, ...progressDrafts(changes)] };
  }

  #takeBurials(): Burial[] {
    const taken: Burial[] = [];
    let sizeBytes = 0;
    while (sizeBytes < limits.progressRecordSizeMax) {
      const burial = this.#burials.shift();
      if (burial === undefined) break;
      // Acknowledged or dropped while it waited: there is nothing to bury.
      if (burial.entry.state !== "dying" || burial.entry.lane.dropped) {
        burial.resolve();
        continue;
      }
      burial.entry.state = "moving";
      sizeBytes += burial.copy.body.length;
      taken.push(burial);
    }
    return taken;
  }
}

/** Whether the record is in the log, in its place, although nobody has confirmed it in time. */
function isInLog({ code }: MqError): boolean {
  return code === "MASTER_PERSISTENCE_TIMEOUT" || code === "SLAVE_PERSISTENCE_TIMEOUT";
}

function putBack({ changes }: Batch): void {
  for (const change of changes) if (!change.lane.dropped) change.lane.putBack(change);
}

/** One record each 256 KiB or so, all of one group. */
function progressDrafts(changes: readonly LaneChange[]): RecordDraft[] {
  const drafts: RecordDraft[] = [];
  let part: ProgressChange[] = [];
  let size = 0;
  const finish = (): void => {
    if (part.length > 0) drafts.push(progressDraft(part));
    part = [];
    size = 0;
  };
  for (const { progress } of changes) {
    const changeSize = 32 + progress.upserts.length * 12 + progress.removals.length * 3;
    if (size + changeSize > limits.progressRecordSizeMax) finish();
    part.push(progress);
    size += changeSize;
  }
  finish();
  return drafts;
}

function progressDraft(changes: readonly ProgressChange[]): RecordDraft {
  return {
    type: RecordType.progress,
    topic: "",
    queueId: -1,
    systemProperties: nothing,
    userProperties: nothing,
    body: encodeProgress(changes),
  };
}
