// The state as far as it is in memory, and what of it has to be written: applies records in log
// order, without any I/O. The same records give the same tables on every replica.
import { epoch, MqError, type Position, position } from "../../base/index.ts";
import { RecordType } from "../store/index.ts";
import { decodeHeldChanges } from "./held-codec.ts";
import type { HeldKind } from "./held-entry.ts";
import { HeldTable } from "./held-table.ts";
import type { Metadata } from "./metadata.ts";
import {
  decodeGroup,
  decodeMetadataChange,
  decodeTopic,
  encodeGroup,
  encodeTopic,
  type MetadataChange,
} from "./metadata-codec.ts";
import { decodeProgress } from "./progress-codec.ts";
import { ProgressTable } from "./progress-table.ts";
import type { StateChanges } from "./state-changes.ts";
import {
  appliedKey,
  groupKey,
  type KeyRange,
  macKeyKey,
  parseKey,
  queueKey,
  topicKey,
} from "./state-keys.ts";
import type { LoggedRecord } from "./state-log.ts";
import {
  type Applied,
  decodeBounds,
  decodeCursor,
  decodeEnd,
  decodeHeld,
  encodeApplied,
  encodeBounds,
  encodeEnd,
  type QueueBounds,
  type QueueRange,
  seal,
  stateVersion,
  unseal,
} from "./state-values.ts";

/** The tables of one state. */
export class StateTables {
  /** Held messages, as far as they are not in the database. */
  readonly held: HeldTable = new HeldTable();
  readonly #metadata: Metadata;
  readonly #progress = new ProgressTable();
  readonly #bounds = new Map<string, QueueBounds>();
  #cleared: KeyRange[] = [];
  #entries = new Map<string, Uint8Array | undefined>();
  #applied: Applied = { position: position(0), epoch: epoch(0), metadataVersion: 0 };

  constructor(metadata: Metadata) {
    this.#metadata = metadata;
  }

  /** Which part of the log the tables reflect. */
  get applied(): Applied {
    return this.#applied;
  }

  /** Keys that `take` would give, about; the applied position does not count. */
  get changeCount(): number {
    const { held } = this;
    const count = this.#entries.size + this.#cleared.length + held.changeCount;
    return count + this.#progress.changeCount;
  }

  /** The bounds of queues that have lost messages or whose topic is deleted, as far as known. */
  bounds(): Iterable<QueueBounds> {
    return this.#bounds.values();
  }

  /** Starts from what the database or a snapshot reflects, before `load`. */
  startAt(applied: Applied): void {
    this.#applied = applied;
    this.held.startAt(applied.position);
  }

  /** Takes one key and its sealed value from the database or a snapshot. Throws CORRUPT. */
  load(key: string, value: Uint8Array): void {
    const content = unseal(key, value);
    const parsed = parseKey(key);
    switch (parsed?.kind) {
      case undefined:
        throw new MqError(
          "CORRUPT",
          `the state of version ${stateVersion} has an unknown key ${key}`,
        );
      case "topic":
        return this.#loadChange({ kind: "putTopic", config: decodeTopic(content) });
      case "group":
        return this.#loadChange({ kind: "putGroup", config: decodeGroup(content) });
      case "macKey":
        return this.#loadChange({ kind: "macKey", key: content });
      case "queue":
        return this.#loadBounds(key, decodeBounds(parsed.topic, parsed.queueId, content));
      case "cursor":
        return this.#progress.load(parsed, decodeCursor(content));
      case "ended":
        return this.held.loadEnd(parsed.topic, decodeEnd(content));
      case "held":
        return this.held.load(decodeHeld(parsed.held, content));
      case "pending":
      case "applied":
      case "digest":
        return;
    }
  }

  /** Applies a record of any type. Gives the metadata change it held. Throws CORRUPT for a body it cannot read. */
  apply(record: LoggedRecord): MetadataChange | undefined {
    switch (record.type) {
      case RecordType.progress:
        this.#applyProgress(record.body);
        return undefined;
      case RecordType.metadata:
        return this.#applyChange(record);
      case RecordType.delayedMessage:
        return this.#hold(record, "timer");
      case RecordType.halfMessage:
        return this.#hold(record, "half");
      case RecordType.held:
        for (const change of decodeHeldChanges(record.body)) this.held.apply(change);
        return undefined;
      case RecordType.epochStart:
        this.#applied = { ...this.#applied, epoch: epoch(record.epoch) };
        return undefined;
      default:
        return undefined;
    }
  }

  /** Says that all records before `end` have been applied. */
  advance(end: Position): void {
    this.#applied = { ...this.#applied, position: end, metadataVersion: this.#metadata.version };
  }

  /** Keeps the bounds of a queue as they are at the applied position; they never go back. */
  setBounds(queue: QueueRange): void {
    const key = queueKey(queue.topic, queue.queueId);
    const known = this.#bounds.get(key);
    this.#setBounds({
      topic: queue.topic,
      queueId: queue.queueId,
      minOffset: Math.max(queue.minOffset, known?.minOffset ?? 0),
      nextOffset: Math.max(queue.nextOffset, known?.nextOffset ?? 0),
      firstOffset: known?.firstOffset ?? 0,
    });
  }

  /** Gives all that has to be written for the database to reflect `applied`, and counts it as written. */
  take(): StateChanges {
    this.#entries.set(appliedKey, seal(appliedKey, encodeApplied(this.#applied)));
    const rows = this.#progress.take();
    const held = this.held.take(this.#applied.position);
    const changes = { cleared: this.#cleared, entries: this.#entries, rows, held };
    this.#cleared = [];
    this.#entries = new Map();
    return changes;
  }

  #loadBounds(key: string, bounds: QueueBounds): void {
    this.#bounds.set(key, bounds);
    this.#metadata.loadFirstOffset(bounds.topic, bounds.queueId, bounds.firstOffset);
  }

  #loadChange(change: MetadataChange): void {
    this.#metadata.apply(change, this.#applied.metadataVersion);
  }

  #hold(record: LoggedRecord, kind: HeldKind): undefined {
    const { topic, dueMs, position: place, size } = record;
    // It was on its way when its topic was deleted.
    if (this.#metadata.topic(topic) === undefined) return;
    this.held.add({ kind, dueMs, id: place, topic, position: place, size, count: 0 });
  }

  #applyProgress(body: Uint8Array): void {
    for (const change of decodeProgress(body)) {
      // What was still on its way when its group or topic was deleted.
      if (this.#metadata.group(change.group) === undefined) continue;
      if (this.#metadata.topic(change.topic) === undefined) continue;
      this.#progress.apply(change);
    }
  }

  #applyChange(record: LoggedRecord): MetadataChange {
    const change = decodeMetadataChange(record.body);
    this.#store(change, record.position);
    this.#metadata.apply(change, record.position + record.size);
    return change;
  }

  #store(change: MetadataChange, place: Position): void {
    switch (change.kind) {
      case "putTopic":
        return this.#set(topicKey(change.config.name), encodeTopic(change.config));
      case "putGroup":
        return this.#set(groupKey(change.config.name), encodeGroup(change.config));
      case "macKey":
        return this.#set(macKeyKey, change.key);
      case "deleteGroup":
        this.#entries.set(groupKey(change.name), undefined);
        return this.#clear(this.#progress.dropGroup(change.name));
      case "deleteTopic":
        this.#entries.set(topicKey(change.name), undefined);
        this.#clear(this.#progress.dropTopic(change.name));
        this.#set(this.held.dropTopic(change.name, place), encodeEnd(place));
        return this.#endQueues(change);
    }
  }

  /** The queues of a deleted topic are empty from here on, and go on counting when it is made again. */
  #endQueues(change: Extract<MetadataChange, { kind: "deleteTopic" }>): void {
    const topic = change.name;
    for (const { queueId, nextOffset } of change.queues) {
      const known = this.#bounds.get(queueKey(topic, queueId));
      const end = Math.max(nextOffset, known?.nextOffset ?? 0);
      this.#setBounds({ topic, queueId, minOffset: end, nextOffset: end, firstOffset: end });
    }
  }

  #setBounds(bounds: QueueBounds): void {
    const key = queueKey(bounds.topic, bounds.queueId);
    const known = this.#bounds.get(key);
    if (known !== undefined && isSame(known, bounds)) return;
    this.#bounds.set(key, bounds);
    this.#set(key, encodeBounds(bounds));
  }

  #set(key: string, content: Uint8Array): void {
    this.#entries.set(key, seal(key, content));
  }

  #clear(ranges: readonly KeyRange[]): void {
    this.#cleared.push(...ranges);
  }
}

function isSame(left: QueueBounds, right: QueueBounds): boolean {
  return (
    left.minOffset === right.minOffset &&
    left.nextOffset === right.nextOffset &&
    left.firstOffset === right.firstOffset
  );
}
