// A broker's inside without disk and network: real tables and clients, a store and a delivery that note what they are told.
import {
  brokerRole,
  Configuration,
  MqError,
  position,
  queueOffset,
  silentLogger,
  systemRandom,
} from "../../../base/index.ts";
import type { Registrar } from "../../../registrar/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import { ClientTable } from "../../clients/index.ts";
import { Cluster } from "../../cluster/index.ts";
import type {
  Delivered,
  GroupPlace,
  LiteLoss,
  LiteSync,
  Pulled,
  PullRequest,
  ReceiveRequest,
} from "../../delivery/index.ts";
import type { Standing } from "../../ha/index.ts";
import { type Metadata, memoryMetadata } from "../../metadata/index.ts";
import type { Appended, RecordDraft } from "../../store/index.ts";
import type { LocalParts, RemotingContext } from "../context.ts";
import { messagingMethods } from "../methods.ts";
import { Traffic } from "../traffic.ts";
import { type CallOptions, TestCall, TestStream } from "./calls.ts";
import { ManualClock } from "./manual-clock.ts";

/** What a test may choose. */
export interface TestBrokerOptions {
  readonly flags?: Readonly<Record<string, string>>;
  /** What it hears of other brokers from; nothing by default. */
  readonly registrar?: Registrar;
}

/** A broker made for handlers. Change its fields to change how it behaves. It holds nothing that must be closed. */
export class TestBroker {
  readonly clock: ManualClock = new ManualClock();
  readonly metadata: Metadata = memoryMetadata({ clock: this.clock, random: systemRandom });
  readonly clients: ClientTable = new ClientTable({
    clock: this.clock,
    logger: silentLogger,
    onGone: (clientId, group) => void this.calls.push(`gone ${clientId} ${group}`),
  });
  /** Groups of records that were appended. */
  readonly appended: RecordDraft[][] = [];
  /** What delivery was asked. */
  readonly received: ReceiveRequest[] = [];
  readonly pulled: PullRequest[] = [];
  /** Subscriptions to lite topics, and what the next ones take from other clients. */
  readonly synced: LiteSync[] = [];
  losses: readonly LiteLoss[] = [];
  /** Offsets that were committed, by group, topic and queue id; every queue has 10 to 100. */
  readonly offsets: Map<string, number> = new Map();
  /** What delivery was told, and clients that went. */
  readonly calls: string[] = [];
  appendFailure: MqError | undefined;
  /** What the next receives get. */
  toDeliver: readonly Delivered[] = [];
  /** What the next pulls get. */
  toPull: Pulled = { kind: "nothing", nextOffset: 7 };
  /** Why no delayed message, or half message, is admitted. */
  admitFailure: MqError | undefined;
  isStopping = false;
  standing: Standing = { kind: "master", epoch: 1 };
  /** Handles that delivery and timers know, and transaction ids. */
  readonly handles: Set<string> = new Set();
  /** What the broker serves. */
  readonly parts: LocalParts;
  /** What `context.local()` gives; a test may take it away. */
  local: LocalParts | undefined;
  readonly context: RemotingContext;
  readonly methods: ReadonlyMap<string, MethodHandler>;
  #nextOffset = 0;

  constructor(options: TestBrokerOptions = {}) {
    const flags = { brokerName: "broker-a", autoCreateTopicEnable: "true", ...options.flags };
    this.parts = {
      store: {
        start: position(0),
        send: (group) => this.#append(group),
        sendAgain: async () => {},
        read: () => undefined,
        readCold: async () => [],
      },
      metadata: this.metadata,
      delivery: this.#delivery(),
      timers: this.#timers(),
      transactions: this.#transactions(),
      canSend: true,
    };
    this.local = this.parts;
    const config = Configuration.load(brokerRole, { flags });
    this.context = {
      config,
      local: () => this.local,
      standing: () => this.standing,
      cluster: new Cluster({
        registrar: options.registrar,
        config,
        clock: this.clock,
        local: () => this.local,
        standing: () => this.standing,
      }),
      clients: this.clients,
      traffic: new Traffic(),
      clock: this.clock,
      logger: silentLogger,
      listenPort: () => 8081,
      isStopping: () => this.isStopping,
    };
    this.methods = messagingMethods(this.context);
  }

  /** Calls a unary method. */
  async unary(path: string, request: Uint8Array, options?: CallOptions): Promise<Uint8Array> {
    const method = this.methods.get(path);
    if (method?.kind !== "unary") throw new Error(`no unary method ${path}`);
    return await method.handle(request, new TestCall(options));
  }

  /** Calls a method that answers with a stream. Resolves when the handler has returned. */
  async stream(path: string, request: Uint8Array, stream: TestStream): Promise<void> {
    const method = this.methods.get(path);
    if (method?.kind !== "serverStream") throw new Error(`no streaming method ${path}`);
    await method.handle(request, stream);
  }

  async #append(group: readonly RecordDraft[]): Promise<readonly Appended[]> {
    if (this.appendFailure !== undefined) throw this.appendFailure;
    // The store copies the bytes before send returns.
    this.appended.push(group.map(copyOf));
    return group.map(() => ({
      position: position(this.#nextOffset * 100),
      size: 100,
      queueOffset: queueOffset(this.#nextOffset++),
      storeTimeMs: this.clock.now(),
    }));
  }

  #timers(): NonNullable<LocalParts["timers"]> {
    return {
      nowMs: () => this.clock.now(),
      admit: (count) => {
        if (this.admitFailure !== undefined) throw this.admitFailure;
        this.calls.push(`admit ${count}`);
      },
      settled: (count, outcome) => void this.calls.push(`settled ${count} ${outcome}`),
      handleOf: (topic, dueMs, place) => `${topic} ${dueMs} ${place}`,
      recall: async (topic, handle) => {
        this.calls.push(`recall ${topic} ${handle}`);
        if (this.handles.has(handle)) return "recalled";
        throw new MqError("INVALID_RECEIPT_HANDLE", "the recall handle is of another topic");
      },
    };
  }

  #transactions(): NonNullable<LocalParts["transactions"]> {
    return {
      firstCheckAtMs: (ownMs) => this.clock.now() + (ownMs ?? 6_000),
      admit: (count) => {
        if (this.admitFailure !== undefined) throw this.admitFailure;
        this.calls.push(`admit ${count} halves`);
      },
      settled: (count, outcome) => void this.calls.push(`settled ${count} halves ${outcome}`),
      idOf: (topic, place) => `half of ${topic} at ${place}`,
      end: async ({ topic, messageId, transactionId, resolution }) => {
        this.calls.push(`end ${topic} ${messageId} ${transactionId} ${resolution}`);
        if (this.handles.has(transactionId)) return;
        throw new MqError("INVALID_TRANSACTION_ID", "the transaction id is of another topic");
      },
    };
  }

  #delivery(): LocalParts["delivery"] {
    const known = (handle: string): "ok" | "invalid" =>
      this.handles.has(handle) ? "ok" : "invalid";
    return {
      receive: async (request) => {
        this.received.push(request);
        return this.toDeliver;
      },
      giveBack: (delivered) => void this.calls.push(`giveBack ${delivered.length}`),
      ack: (group, topic, handle) => {
        this.calls.push(`ack ${group} ${topic} ${handle}`);
        return known(handle);
      },
      changeInvisible: ({ group, topic, receiptHandle, invisibleMs }) => {
        this.calls.push(`change ${group} ${topic} ${receiptHandle} ${invisibleMs}`);
        return known(receiptHandle) === "ok" ? { handle: `${receiptHandle}+` } : "invalid";
      },
      deadLetter: async ({ group, topic, receiptHandle, messageId }) => {
        this.calls.push(`deadLetter ${group} ${topic} ${receiptHandle} ${messageId}`);
        return known(receiptHandle);
      },
      lite: {
        sync: async (request) => {
          if (this.admitFailure !== undefined) throw this.admitFailure;
          this.synced.push(request);
          return this.losses;
        },
        topics: {
          admit: (_place, name) => {
            if (this.admitFailure !== undefined) throw this.admitFailure;
            this.calls.push(`admit lite topic ${name}`);
          },
        },
      },
      clientLeft: (clientId) => void this.calls.push(`left ${clientId}`),
      pulls: {
        pull: async (request) => {
          this.pulled.push(request);
          return this.toPull;
        },
      },
      offsets: {
        get: (place) => this.offsets.get(nameOf(place)),
        commit: async (place, offset) => void this.offsets.set(nameOf(place), offset),
        reset: async (changes) =>
          changes.map(({ place, offset }) => {
            const before = this.offsets.get(nameOf(place));
            this.offsets.set(nameOf(place), offset);
            return { before, dropped: 0 };
          }),
        atTime: async (_place, ms) => ms / 1_000,
        bounds: () => ({ minOffset: 10, endOffset: 100 }),
      },
    };
  }
}

function nameOf({ group, topic, queueId }: GroupPlace): string {
  return `${group} ${topic} ${queueId}`;
}

function copyOf(draft: RecordDraft): RecordDraft {
  return {
    ...draft,
    systemProperties: Uint8Array.from(draft.systemProperties),
    userProperties: Uint8Array.from(draft.userProperties),
    body: Uint8Array.from(draft.body),
  };
}
