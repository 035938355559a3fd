// Topics and consumer groups, read synchronously from memory. A change is a record in the log first;
// the tables follow the log, so every replica has the same ones.
import { type Clock, limits, MqError } from "../../base/index.ts";
import { type GroupConfig, type GroupDraft, makeGroup } from "./group-config.ts";
import type { MetadataChange, QueueEnd } from "./metadata-codec.ts";
import { deadLetterTopic, givenUpTopic } from "./names.ts";
import {
  checkTypeChange,
  makeTopic,
  permission,
  type TopicConfig,
  type TopicDraft,
} from "./topic-config.ts";

/** Tells that a topic or group was made, changed (`config`) or deleted (undefined). The tables have the change already. */
export type MetadataEvent =
  | { readonly kind: "topic"; readonly name: string; readonly config: TopicConfig | undefined }
  | { readonly kind: "group"; readonly name: string; readonly config: GroupConfig | undefined };

/** Hears of changes in log order. Must not throw. */
export type MetadataListener = (event: MetadataEvent) => void;

/** What the tables stand on. */
export interface MetadataOptions {
  readonly clock: Clock;
  /** Where each queue of a topic ends now. */
  readonly queueEnds: (topic: string) => readonly QueueEnd[];
  /** Writes the change to the log; resolves when it is durable and `apply` has been called with it. */
  readonly append: (change: MetadataChange) => Promise<void>;
  /** `limits.topicCountMax` by default. */
  readonly topicCountMax?: number;
  /** `limits.groupCountMax` by default. */
  readonly groupCountMax?: number;
}

/** The tables of one broker. */
export class Metadata {
  readonly #clock: Clock;
  readonly #append: (change: MetadataChange) => Promise<void>;
  readonly #queueEnds: (topic: string) => readonly QueueEnd[];
  readonly #topics = new Map<string, TopicConfig>();
  readonly #groups = new Map<string, GroupConfig>();
  readonly #firstOffsets = new Map<string, number>();
  readonly #listeners = new Set<MetadataListener>();
  readonly #creating = new Map<string, Promise<unknown>>();
  readonly #topicRoom: Room;
  readonly #groupRoom: Room;
  #macKey: Buffer | undefined;
  #version = 0;

  constructor(options: MetadataOptions) {
    this.#clock = options.clock;
    this.#append = options.append;
    this.#queueEnds = options.queueEnds;
    this.#topicRoom = {
      names: this.#topics,
      making: new Set(),
      countMax: options.topicCountMax ?? limits.topicCountMax,
      what: "topics",
    };
    this.#groupRoom = {
      names: this.#groups,
      making: new Set(),
      countMax: options.groupCountMax ?? limits.groupCountMax,
      what: "consumer groups",
    };
  }

  /** The topic, or undefined when there is none. */
  topic(name: string): TopicConfig | undefined {
    return this.#topics.get(name);
  }

  /** The consumer group, or undefined when there is none. */
  group(name: string): GroupConfig | undefined {
    return this.#groups.get(name);
  }

  /** All topics, in no order. Do not change topics while reading on. */
  topics(): Iterable<TopicConfig> {
    return this.#topics.values();
  }

  /** All groups, in no order. Do not change groups while reading on. */
  groups(): Iterable<GroupConfig> {
    return this.#groups.values();
  }

  /**
   * Offset of the first message that the queue ever had since its topic was made: 0, or where it
   * ended when a topic of that name was deleted. A queue whose minimum offset is this has lost nothing by age.
   */
  firstOffset(topic: string, queueId: number): number {
    return this.#firstOffsets.get(`${topic}/${queueId}`) ?? 0;
  }

  get topicCount(): number {
    return this.#topics.size;
  }

  get groupCount(): number {
    return this.#groups.size;
  }

  /** Grows with every change of topics or groups, also over restarts; 0 when there never was one. */
  get version(): number {
    return this.#version;
  }

  /** The key of receipt handles, 32 bytes, not to be changed. MqError INTERNAL_SERVER_ERROR before it was made. */
  get macKey(): Buffer {
    if (this.#macKey === undefined) {
      throw new MqError("INTERNAL_SERVER_ERROR", "the receipt-handle key has not been made yet");
    }
    return this.#macKey;
  }

  get hasMacKey(): boolean {
    return this.#macKey !== undefined;
  }

  /** Calls `listener` after each change of a topic or group from now on. Returns what ends it. */
  onChange(listener: MetadataListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Makes or replaces a topic and resolves with what it became, once it is durable and in force.
   * A field left out gets its default, not the old value. Throws ILLEGAL_TOPIC, BAD_REQUEST, FORBIDDEN (too many), and what the store throws.
   */
  async updateTopic(draft: TopicDraft): Promise<TopicConfig> {
    const old = this.#topics.get(draft.name);
    const config = makeTopic(draft, old?.createdAtMs ?? this.#clock.now());
    checkTypeChange(old, config);
    await this.#put({ kind: "putTopic", config }, this.#topicRoom);
    return config;
  }

  /** Deletes a topic; resolves when that is durable and in force. Throws TOPIC_NOT_FOUND. */
  async deleteTopic(name: string): Promise<void> {
    if (!this.#topics.has(name)) {
      throw new MqError("TOPIC_NOT_FOUND", `topic ${JSON.stringify(name)} does not exist`);
    }
    // Read and appended in one turn: what the record says about the ends is exact.
    await this.#append({ kind: "deleteTopic", name, queues: this.#queueEnds(name) });
  }

  /**
   * Makes or replaces a consumer group and resolves with what it became, once it is durable and in force.
   * A field left out gets its default, not the old value. Throws ILLEGAL_CONSUMER_GROUP, BAD_REQUEST, FORBIDDEN (too many), and what the store throws.
   */
  async updateGroup(draft: GroupDraft): Promise<GroupConfig> {
    const config = makeGroup(draft);
    await this.#put({ kind: "putGroup", config }, this.#groupRoom);
    return config;
  }

  /** Deletes a group with all its progress; resolves when that is durable and in force. Throws CONSUMER_GROUP_NOT_FOUND. */
  async deleteGroup(name: string): Promise<void> {
    if (!this.#groups.has(name)) {
      throw new MqError(
        "CONSUMER_GROUP_NOT_FOUND",
        `consumer group ${JSON.stringify(name)} does not exist`,
      );
    }
    await this.#append({ kind: "deleteGroup", name });
  }

  /** The topic as it is, or made from the draft when there is none. Callers at the same time share one making. */
  async ensureTopic(draft: TopicDraft): Promise<TopicConfig> {
    const existing = this.#topics.get(draft.name);
    if (existing !== undefined) return existing;
    await this.#once(`topic ${draft.name}`, () => this.updateTopic(draft));
    return this.#topics.get(draft.name) ?? makeTopic(draft, this.#clock.now());
  }

  /** The group as it is, or made from the draft when there is none. Callers at the same time share one making. */
  async ensureGroup(draft: GroupDraft): Promise<GroupConfig> {
    const existing = this.#groups.get(draft.name);
    if (existing !== undefined) return existing;
    await this.#once(`group ${draft.name}`, () => this.updateGroup(draft));
    return this.#groups.get(draft.name) ?? makeGroup(draft);
  }

  /** The dead-letter topic of `group`: one queue, readable and writable, made when there is none. */
  ensureDeadLetterTopic(group: string): Promise<TopicConfig> {
    return this.ensureTopic({
      name: deadLetterTopic(group),
      readQueueNums: 1,
      writeQueueNums: 1,
      perm: permission.readWrite,
    });
  }

  /** The topic of transactions that were given up: one queue, readable, made when there is none. */
  ensureGivenUpTopic(): Promise<TopicConfig> {
    return this.ensureTopic({
      name: givenUpTopic,
      readQueueNums: 1,
      writeQueueNums: 1,
      perm: permission.read,
    });
  }

  /**
   * Takes a change that is confirmed in the log; `version` is the place behind its record, or what the
   * state kept at start. Only for who follows the log, in log order. Twice is the same as once.
   */
  apply(change: MetadataChange, version: number): void {
    this.#version = Math.max(this.#version, version);
    switch (change.kind) {
      case "putTopic":
        this.#topics.set(change.config.name, change.config);
        this.#topicRoom.making.delete(change.config.name);
        return this.#tell({ kind: "topic", name: change.config.name, config: change.config });
      case "deleteTopic":
        this.#topics.delete(change.name);
        for (const { queueId, nextOffset } of change.queues) {
          this.loadFirstOffset(change.name, queueId, nextOffset);
        }
        return this.#tell({ kind: "topic", name: change.name, config: undefined });
      case "putGroup":
        this.#groups.set(change.config.name, change.config);
        this.#groupRoom.making.delete(change.config.name);
        return this.#tell({ kind: "group", name: change.config.name, config: change.config });
      case "deleteGroup":
        this.#groups.delete(change.name);
        return this.#tell({ kind: "group", name: change.name, config: undefined });
      case "macKey":
        this.#macKey = Buffer.from(change.key);
        return;
    }
  }

  /** Takes at start what the state kept of a queue's `firstOffset`. */
  loadFirstOffset(topic: string, queueId: number, offset: number): void {
    const key = `${topic}/${queueId}`;
    this.#firstOffsets.set(key, Math.max(offset, this.#firstOffsets.get(key) ?? 0));
  }

  #tell(event: MetadataEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Makes or replaces a topic or group. Throws FORBIDDEN when it would be one too many. */
  async #put(change: PutChange, room: Room): Promise<void> {
    const { name } = change.config;
    if (room.names.has(name) || room.making.has(name)) return await this.#append(change);
    checkRoom(room);
    room.making.add(name);
    try {
      await this.#append(change);
    } finally {
      room.making.delete(name);
    }
  }

  async #once(what: string, make: () => Promise<unknown>): Promise<void> {
    let making = this.#creating.get(what);
    if (making === undefined) {
      making = make().finally(() => this.#creating.delete(what));
      this.#creating.set(what, making);
    }
    await making;
  }
}

/** A table that may be full. */
interface Room {
  readonly names: ReadonlyMap<string, unknown>;
  /** New names whose record is on its way to the table. */
  readonly making: Set<string>;
  readonly countMax: number;
  readonly what: string;
}

type PutChange = Extract<MetadataChange, { readonly kind: "putTopic" | "putGroup" }>;

function checkRoom({ names, making, countMax, what }: Room): void {
  const count = names.size + making.size;
  if (count < countMax) return;
  throw new MqError(
    "FORBIDDEN",
    `this broker has ${count} ${what}: no more than ${countMax} are allowed`,
  );
}
