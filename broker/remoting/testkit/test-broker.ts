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
import type { MethodHandler } from "../../../transport/index.ts";
import { ClientTable } from "../../clients/index.ts";
import type { Delivered, ReceiveRequest } from "../../delivery/index.ts";
import { type Metadata, memoryMetadata } from "../../metadata/index.ts";
import type { Appended, RecordDraft } from "../../store/index.ts";
import type { RemotingContext } from "../context.ts";
import { messagingMethods } from "../methods.ts";
import { Traffic } from "../traffic.ts";
import { type CallOptions, TestCall, TestStream } from "./calls.ts";
import { ManualClock } from "./manual-clock.ts";

/** What a test may choose. */
export interface TestBrokerOptions {
  readonly flags?: Readonly<Record<string, string>>;
}

/** A broker made for handlers. Change its fields to change how it behaves. */
export interface TestBroker {
  readonly context: RemotingContext;
  readonly metadata: Metadata;
  readonly clients: ClientTable;
  readonly clock: ManualClock;
  readonly methods: ReadonlyMap<string, MethodHandler>;
  /** Groups of records that were appended. */
  readonly appended: RecordDraft[][];
  /** What delivery was asked, by call. */
  readonly received: ReceiveRequest[];
  readonly calls: string[];
  appendFailure: MqError | undefined;
  /** What the next receives get. */
  toDeliver: readonly Delivered[];
  isStopping: boolean;
  /** Handles that delivery knows. */
  readonly handles: Set<string>;
  unary(path: string, request: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
  stream(path: string, request: Uint8Array, options?: CallOptions): Promise<TestStream>;
}

/** Makes one. Close nothing: it holds nothing. */
export function testBroker(options: TestBrokerOptions = {}): TestBroker {
  const clock = new ManualClock();
  const metadata = memoryMetadata({ clock, random: systemRandom });
  const calls: string[] = [];
  const clients = new ClientTable({
    clock,
    logger: silentLogger,
    onGone: (clientId, group) => void calls.push(`gone ${clientId} ${group}`),
  });
  const flags = { autoCreateTopicEnable: "true", ...options.flags };
  let offset = 0;
  const broker: TestBroker = {
    context: {
      config: Configuration.load(brokerRole, { flags: { brokerName: "broker-a", ...flags } }),
      store: {
        append: async (group) => {
          if (broker.appendFailure !== undefined) throw broker.appendFailure;
          // Bytes are copied before append returns, as the store does.
          broker.appended.push(group.map(copyOf));
          return group.map(
            (): Appended => ({
              position: position(offset * 100),
              size: 100,
              queueOffset: queueOffset(offset++),
              storeTimeMs: clock.now(),
            }),
          );
        },
      },
      metadata,
      delivery: {
        receive: async (request) => {
          broker.received.push(request);
          return broker.toDeliver;
        },
        giveBack: (delivered) => void calls.push(`giveBack ${delivered.length}`),
        ack: (group, topic, handle) => {
          calls.push(`ack ${group} ${topic} ${handle}`);
          return broker.handles.has(handle) ? "ok" : "invalid";
        },
        changeInvisible: ({ group, topic, receiptHandle, invisibleMs }) => {
          calls.push(`change ${group} ${topic} ${receiptHandle} ${invisibleMs}`);
          return broker.handles.has(receiptHandle) ? { handle: `${receiptHandle}+` } : "invalid";
        },
        deadLetter: async ({ group, topic, receiptHandle, messageId }) => {
          calls.push(`deadLetter ${group} ${topic} ${receiptHandle} ${messageId}`);
          return broker.handles.has(receiptHandle) ? "ok" : "invalid";
        },
        endPolls: (clientId) => void calls.push(`endPolls ${clientId}`),
      },
      clients,
      traffic: new Traffic(),
      clock,
      logger: silentLogger,
      listenPort: () => 8081,
      isStopping: () => broker.isStopping,
    },
    metadata,
    clients,
    clock,
    methods: new Map(),
    appended: [],
    received: [],
    calls,
    appendFailure: undefined,
    toDeliver: [],
    isStopping: false,
    handles: new Set(),
    unary: async (path, request, callOptions) => {
      const method = broker.methods.get(path);
      if (method?.kind !== "unary") throw new Error(`no unary method ${path}`);
      return await method.handle(request, new TestCall(callOptions));
    },
    stream: async (path, request, callOptions) => {
      const method = broker.methods.get(path);
      if (method?.kind !== "serverStream") throw new Error(`no streaming method ${path}`);
      const stream = new TestStream(callOptions);
      await method.handle(request, stream);
      return stream;
    },
  };
  return Object.assign(broker, { methods: messagingMethods(broker.context) });
}

function copyOf(draft: RecordDraft): RecordDraft {
  return {
    ...draft,
    systemProperties: Uint8Array.from(draft.systemProperties),
    userProperties: Uint8Array.from(draft.userProperties),
    body: Uint8Array.from(draft.body),
  };
}
