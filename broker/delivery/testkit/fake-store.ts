// A store in memory: queues as arrays, a tail that can be made cold, reads and writes that can fail or wait.
import { rocketmq } from "@cometmq/proto";
import { decodeProgress, type ProgressChange } from "../../metadata/index.ts";
import {
  allocateRecordBuffer,
  encodeRecord,
  type RecordDraft,
  RecordType,
  RecordView,
  recordSize,
} from "../../store/record.ts";
import { tagHash } from "../../store/tag-hash.ts";
import type {
  DeliveryEntries,
  DeliveryFollower,
  DeliveryQueue,
  DeliveryStore,
  RecordPlace,
} from "../ports.ts";

interface Stored {
  readonly record: RecordView;
  readonly position: number;
  readonly size: number;
  readonly tagHash: number;
  readonly storeTimeMs: number;
}

/** A queue of the fake store. */
export class FakeQueue implements DeliveryQueue {
  readonly topic: string;
  readonly queueId: number;
  readonly items: Stored[] = [];
  minOffset = 0;
  endOffset = 0;
  /** Entries below are not in memory. */
  coldBelow = 0;
  /** Loads wait for it. */
  loadGate: Promise<void> | undefined;
  loadCount = 0;

  constructor(topic: string, queueId: number) {
    this.topic = topic;
    this.queueId = queueId;
  }

  entries(from: number, countMax: number): DeliveryEntries | undefined {
    if (from < this.coldBelow) return undefined;
    return this.#slice(from, countMax);
  }

  async load(from: number, countMax: number): Promise<DeliveryEntries> {
    this.loadCount++;
    await this.loadGate;
    return this.#slice(Math.max(from, this.minOffset), countMax);
  }

  async offsetByTime(ms: number): Promise<number> {
    const index = this.items.findIndex((item) => item.storeTimeMs >= ms);
    return index < 0 ? this.endOffset : index;
  }

  #slice(from: number, countMax: number): DeliveryEntries {
    const items = this.items.slice(from, Math.min(from + countMax, this.endOffset));
    const of = (i: number): Stored => {
      const item = items[i];
      if (item === undefined) throw new RangeError(`entry ${i} of ${items.length}`);
      return item;
    };
    return {
      from,
      count: items.length,
      position: (i) => of(i).position,
      size: (i) => of(i).size,
      tagHash: (i) => of(i).tagHash,
      messageGroupHash: (i) => of(i).record.messageGroupHash,
    };
  }
}

/** What a test sends. */
export interface TestMessage {
  readonly tag?: string;
  readonly id?: string;
  readonly body?: string;
  readonly flags?: number;
  readonly messageGroupHash?: number;
  /** User properties. */
  readonly properties?: Readonly<Record<string, string>>;
}

/** The store of a test. */
export class FakeStore implements DeliveryStore {
  epoch = 1;
  /** Records below this position have left memory. */
  tailFrom = 0;
  /** Thrown by the next appends and cold reads while set. */
  appendError: Error | undefined;
  readError: Error | undefined;
  /** While set, appends wait for it before they are in the log. */
  appendGate: Promise<void> | undefined;
  readGate: Promise<void> | undefined;
  /** Progress records in log order. */
  readonly progress: ProgressChange[][] = [];
  /** Each append: the types of its records. */
  readonly groups: number[][] = [];
  coldReadCount = 0;
  coldRecordCount = 0;
  readonly #queues = new Map<string, FakeQueue>();
  readonly #records = new Map<number, RecordView>();
  readonly #followers: DeliveryFollower[] = [];
  #position = 0;
  #nowMs: () => number;
  #nextId = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  subscribe(follower: DeliveryFollower): void {
    this.#followers.push(follower);
  }

  /** As a restart: nobody follows any more. */
  forgetFollowers(): void {
    this.#followers.length = 0;
  }

  queue(topic: string, queueId: number): FakeQueue | undefined {
    return this.#queues.get(`${topic}/${queueId}`);
  }

  ensureQueue(topic: string, queueId: number): FakeQueue {
    const name = `${topic}/${queueId}`;
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = new FakeQueue(topic, queueId);
      this.#queues.set(name, queue);
    }
    return queue;
  }

  read(position: number, _size: number): RecordView | undefined {
    return position < this.tailFrom ? undefined : this.#records.get(position);
  }

  async readCold(places: readonly RecordPlace[]): Promise<(RecordView | undefined)[]> {
    this.coldReadCount++;
    this.coldRecordCount += places.length;
    await this.readGate;
    if (this.readError !== undefined) throw this.readError;
    return places.map(({ position }) => this.#records.get(position));
  }

  async append(group: readonly RecordDraft[]): Promise<void> {
    await this.appendGate;
    if (this.appendError !== undefined) throw this.appendError;
    this.groups.push(group.map((draft) => draft.type));
    for (const draft of group) {
      if (draft.type === RecordType.progress) this.progress.push(decodeProgress(draft.body));
      else this.put(draft);
    }
    this.confirm();
  }

  /** Everything up to now leaves memory. */
  coolDown(): void {
    this.tailFrom = this.#position;
    for (const queue of this.#queues.values()) queue.coldBelow = queue.items.length;
  }

  /** Retention takes all messages of a queue below `offset`. */
  expire(queue: FakeQueue, offset: number): void {
    for (const item of queue.items.slice(0, offset)) this.#records.delete(item.position);
    queue.minOffset = offset;
  }

  /** Stores a message and tells followers. */
  send(topic: string, queueId: number, message: TestMessage = {}): void {
    this.sendQuietly(topic, queueId, message);
    this.confirm();
  }

  /** Stores a message; followers hear of it at the next `confirm`. */
  sendQuietly(topic: string, queueId: number, message: TestMessage = {}): void {
    const properties = {
      messageId: message.id ?? `m${this.#nextId++}`,
      ...(message.tag === undefined ? {} : { tag: message.tag }),
    };
    this.put({
      type: RecordType.message,
      flags: message.flags ?? 0,
      topic,
      queueId,
      systemProperties: rocketmq.v2.SystemProperties.encode(properties).finish(),
      userProperties: userPropertiesOf(message),
      body: Buffer.from(message.body ?? "x"),
      tagHash: tagHash(message.tag),
      messageGroupHash: message.messageGroupHash ?? 0,
    });
  }

  put(draft: RecordDraft): void {
    const queue = this.ensureQueue(draft.topic, draft.queueId);
    const topicBytes = Buffer.from(draft.topic);
    const size = recordSize(draft, topicBytes.length);
    const buffer = allocateRecordBuffer(size);
    const position = this.#position;
    const storeTimeMs = this.#nowMs();
    const stamp = { position, queueOffset: queue.items.length, epoch: this.epoch, storeTimeMs };
    encodeRecord(buffer, 0, { draft, topicBytes }, { ...stamp, groupRest: 0 });
    const record = new RecordView(buffer, 0);
    queue.items.push({ record, position, size, tagHash: draft.tagHash ?? 0, storeTimeMs });
    this.#records.set(position, record);
    this.#position += size;
  }

  /** Makes all that is stored visible: one round. */
  confirm(): void {
    const arrived = [...this.#queues.values()].filter(
      (queue) => queue.endOffset < queue.items.length,
    );
    for (const queue of arrived) queue.endOffset = queue.items.length;
    for (const follower of this.#followers) {
      for (const queue of arrived) follower.arrived(queue);
      follower.confirmed();
    }
  }
}

function userPropertiesOf({ properties }: TestMessage): Uint8Array {
  if (properties === undefined) return new Uint8Array(0);
  return rocketmq.v2.Message.encode({ userProperties: properties }).finish();
}
