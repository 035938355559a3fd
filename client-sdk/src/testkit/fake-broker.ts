// A small RocketMQ 5 broker in memory on the grpc-js server: keeps what is sent, hands it out once, and
// does wrong what a test tells it to. For tests only.
import { createServer, type Server as NetServer, type Socket } from "node:net";
import { messagingService, type rocketmq } from "@cometmq/proto";
import {
  status as grpcStatus,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerWritableStream,
} from "@grpc/grpc-js";
import { FakeQueues } from "./fake-queues.ts";

function encodeFrame(frame: rocketmq.v2.IReceiveMessageResponse): Buffer {
  return asBuffer(methods.ReceiveMessage.response.encode(frame));
}

export const ok: rocketmq.v2.IStatus = { code: 20_000, message: "OK" };

/** Thrown by a test's answer, ends the call with this gRPC status. */
export class GrpcFailure extends Error {
  readonly code: grpcStatus;

  constructor(code: grpcStatus) {
    super("told to fail");
    this.code = code;
  }
}

/** What a test may put in place of the usual answers. */
export interface FakeBehaviour {
  send?: (
    request: rocketmq.v2.ISendMessageRequest,
    usual: rocketmq.v2.ISendMessageResponse,
  ) => rocketmq.v2.ISendMessageResponse | Promise<rocketmq.v2.ISendMessageResponse> | Buffer;
  receive?: (
    request: rocketmq.v2.IReceiveMessageRequest,
    stream: ServerWritableStream<Buffer, Buffer>,
  ) => boolean;
  ack?: (
    request: rocketmq.v2.IAckMessageRequest,
    usual: rocketmq.v2.IAckMessageResponse,
  ) => rocketmq.v2.IAckMessageResponse;
  route?: (
    request: rocketmq.v2.IQueryRouteRequest,
    usual: rocketmq.v2.IQueryRouteResponse,
  ) => rocketmq.v2.IQueryRouteResponse | Buffer;
  recall?: (request: rocketmq.v2.IRecallMessageRequest) => rocketmq.v2.IRecallMessageResponse;
  settings?: rocketmq.v2.ISettings | "silent";
  /** Messages in a batch are answered as one unit, as RocketMQ does. */
  answerBatchAsUnit?: boolean;
  /** Only routes are answered. */
  nameServer?: boolean;
}

interface Stored {
  readonly message: rocketmq.v2.IMessage;
  handle: string;
  attempt: number;
  visibleAtMs: number;
}

const { methods } = messagingService;
const passBytes = (bytes: Buffer): Buffer => bytes;
const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

type Unary = (request: Buffer, metadata: Metadata) => Uint8Array | Promise<Uint8Array>;

/** A broker on a free port of 127.0.0.1. */
export class FakeBroker {
  readonly behaviour: FakeBehaviour;
  readonly name: string;
  readonly stored: Stored[] = [];
  /** What consumers that read by offset see. */
  readonly queues: FakeQueues;
  readonly acked: string[] = [];
  /** Sizes of the SendMessage requests, in messages. */
  readonly batches: number[] = [];
  /** Sizes of the AckMessage requests. */
  readonly ackBatches: number[] = [];
  readonly settingsReceived: rocketmq.v2.ISettings[] = [];
  readonly terminated: string[] = [];
  readonly headers: Metadata[] = [];
  readonly invisible: { messageId: string; ms: number }[] = [];
  readonly deadLettered: string[] = [];
  /** Brokers its routes name; itself unless changed. */
  routeTo: { name: string; port: number; permission?: number }[] = [];
  messageTypes: number[] = [1, 2, 3];
  heartbeats = 0;
  port = 0;
  #server: Server | undefined;
  readonly #streams = new Set<ServerDuplexStream<Buffer, Buffer>>();
  #handles = 0;

  private constructor(name: string, behaviour: FakeBehaviour) {
    this.name = name;
    this.behaviour = behaviour;
    this.queues = new FakeQueues(name);
  }

  static async start(
    behaviour: FakeBehaviour = {},
    options: { name?: string; port?: number; credentials?: ServerCredentials } = {},
  ): Promise<FakeBroker> {
    const broker = new FakeBroker(options.name ?? "fake-a", behaviour);
    await broker.listen(options.port ?? 0, options.credentials);
    return broker;
  }

  get endpoints(): string {
    return `127.0.0.1:${this.port}`;
  }

  async listen(
    port: number = this.port,
    credentials: ServerCredentials = ServerCredentials.createInsecure(),
  ): Promise<void> {
    const server = new Server({ "grpc.max_receive_message_length": -1 });
    const handlers: Record<string, unknown> = {};
    const definition: Record<string, object> = {};
    for (const [name, method] of Object.entries(methods)) {
      definition[name] = {
        path: method.path,
        requestStream: method.kind === "bidi",
        responseStream: method.kind === "bidi" || method.kind === "serverStream",
        requestSerialize: passBytes,
        requestDeserialize: passBytes,
        responseSerialize: passBytes,
        responseDeserialize: passBytes,
      };
    }
    Object.assign(handlers, this.#handlers());
    server.addService(definition as never, handlers as never);
    this.port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    if (this.routeTo.length === 0) this.routeTo = [{ name: this.name, port: this.port }];
    this.#server = server;
  }

  #handlers(): Record<string, unknown> {
    const queryRoute = this.#unary((bytes) => this.#queryRoute(bytes));
    if (this.behaviour.nameServer === true) return { QueryRoute: queryRoute };
    return {
      QueryRoute: queryRoute,
      Heartbeat: this.#unary(() => {
        this.heartbeats++;
        return methods.Heartbeat.response.encode({ status: ok });
      }),
      NotifyClientTermination: this.#unary((bytes, metadata) => {
        methods.NotifyClientTermination.request.decode(bytes);
        this.terminated.push(String(metadata.get("x-mq-client-id")[0]));
        return methods.NotifyClientTermination.response.encode({ status: ok });
      }),
      SendMessage: this.#unary((bytes) => this.#send(bytes)),
      AckMessage: this.#unary((bytes) => this.#ack(bytes)),
      ChangeInvisibleDuration: this.#unary((bytes) => this.#changeInvisible(bytes)),
      ForwardMessageToDeadLetterQueue: this.#unary((bytes) => {
        const request = methods.ForwardMessageToDeadLetterQueue.request.decode(bytes);
        this.deadLettered.push(request.messageId);
        this.#remove(request.receiptHandle);
        return methods.ForwardMessageToDeadLetterQueue.response.encode({ status: ok });
      }),
      RecallMessage: this.#unary((bytes) => {
        const request = methods.RecallMessage.request.decode(bytes);
        const answer = this.behaviour.recall?.(request) ?? { status: ok, messageId: "recalled" };
        return methods.RecallMessage.response.encode(answer);
      }),
      ReceiveMessage: this.#receive,
      QueryAssignment: this.#unary((bytes, metadata) =>
        this.queues.queryAssignment(bytes, String(metadata.get("x-mq-client-id")[0])),
      ),
      GetOffset: this.#unary((bytes) => this.queues.getOffset(bytes)),
      UpdateOffset: this.#unary((bytes) => this.queues.updateOffset(bytes)),
      QueryOffset: this.#unary((bytes) => this.queues.queryOffset(bytes)),
      PullMessage: (stream: ServerWritableStream<Buffer, Buffer>) =>
        this.queues.pullMessage(stream),
      Telemetry: (stream: ServerDuplexStream<Buffer, Buffer>) => this.#telemetry(stream),
    };
  }

  #unary(handle: Unary): handleUnaryCall<Buffer, Buffer> {
    return (call, callback) => {
      this.headers.push(call.metadata);
      const answer = async (): Promise<void> => {
        try {
          callback(null, asBuffer(await handle(call.request, call.metadata)));
        } catch (error) {
          callback(error instanceof GrpcFailure ? error : { code: grpcStatus.INTERNAL });
        }
      };
      void answer();
    };
  }

  #queryRoute(bytes: Buffer): Uint8Array {
    const request = methods.QueryRoute.request.decode(bytes);
    const messageQueues = this.routeTo.flatMap(({ name, port, permission }) =>
      [0, 1].map((id) => ({
        topic: request.topic ?? {},
        id,
        permission: permission ?? 4,
        broker: {
          name,
          id: 0,
          endpoints: { scheme: 1, addresses: [{ host: "127.0.0.1", port }] },
        },
        acceptMessageTypes: this.messageTypes,
      })),
    );
    const usual = { status: ok, messageQueues };
    const answer = this.behaviour.route?.(request, usual) ?? usual;
    return Buffer.isBuffer(answer) ? answer : methods.QueryRoute.response.encode(answer);
  }

  async #send(bytes: Buffer): Promise<Uint8Array> {
    const request = methods.SendMessage.request.decode(Buffer.from(bytes));
    const messages = request.messages;
    this.batches.push(messages.length);
    let entries = messages.map((message, index) => ({
      status: ok,
      messageId: message.systemProperties?.messageId ?? "",
      transactionId: message.systemProperties?.messageId ?? "",
      offset: this.stored.length + index,
    }));
    if (this.behaviour.answerBatchAsUnit === true && messages.length > 1) {
      entries = [{ status: ok, messageId: "unit", transactionId: "", offset: this.stored.length }];
    }
    const usual = { status: ok, entries };
    const answer = (await this.behaviour.send?.(request, usual)) ?? usual;
    if (answer === usual) for (const message of messages) this.store(message);
    return Buffer.isBuffer(answer) ? answer : methods.SendMessage.response.encode(answer);
  }

  store(message: rocketmq.v2.IMessage): void {
    this.stored.push({ message, handle: "", attempt: 0, visibleAtMs: 0 });
  }

  #receive: handleServerStreamingCall<Buffer, Buffer> = (stream) => {
    const request = methods.ReceiveMessage.request.decode(stream.request);
    if (this.behaviour.receive?.(request, stream) === true) return;
    const polling = request.longPollingTimeout;
    const pollEndMs =
      Date.now() + (polling?.seconds ?? 0) * 1000 + (polling?.nanos ?? 0) / 1_000_000;
    const topic = request.messageQueue?.topic?.name;
    const attempt = (): void => {
      if (stream.cancelled) return;
      const now = Date.now();
      const found = this.stored
        .filter((one) => one.message.topic?.name === topic && one.visibleAtMs <= now)
        .slice(0, request.batchSize);
      if (found.length === 0 && now < pollEndMs) {
        setTimeout(attempt, 5);
        return;
      }
      const code = found.length === 0 ? 40_401 : 20_000;
      stream.write(encodeFrame({ status: { code, message: "" } }));
      for (const one of found) {
        one.attempt++;
        one.handle = `handle-${++this.#handles}`;
        one.visibleAtMs = now + 60_000;
        const systemProperties = {
          ...one.message.systemProperties,
          receiptHandle: one.handle,
          deliveryAttempt: one.attempt,
          queueOffset: this.stored.indexOf(one),
        };
        stream.write(encodeFrame({ message: { ...one.message, systemProperties } }));
      }
      stream.write(encodeFrame({ deliveryTimestamp: { seconds: 1_700_000_000, nanos: 0 } }));
      stream.end();
    };
    attempt();
  };

  #ack(bytes: Buffer): Uint8Array {
    const request = methods.AckMessage.request.decode(bytes);
    this.ackBatches.push(request.entries.length);
    const entries = request.entries.map((entry) => {
      const known = this.#remove(entry.receiptHandle ?? "");
      if (known) this.acked.push(entry.messageId ?? "");
      const status = known ? ok : { code: 40_013, message: "the receipt handle is not valid" };
      return { messageId: entry.messageId, receiptHandle: entry.receiptHandle, status };
    });
    const usual = { status: ok, entries };
    return methods.AckMessage.response.encode(this.behaviour.ack?.(request, usual) ?? usual);
  }

  #remove(handle: string): boolean {
    const index = this.stored.findIndex((one) => one.handle === handle && handle !== "");
    if (index >= 0) this.stored.splice(index, 1);
    return index >= 0;
  }

  #changeInvisible(bytes: Buffer): Uint8Array {
    const request = methods.ChangeInvisibleDuration.request.decode(bytes);
    const duration = request.invisibleDuration;
    const ms = (duration?.seconds ?? 0) * 1000 + (duration?.nanos ?? 0) / 1e6;
    this.invisible.push({ messageId: request.messageId, ms });
    const one = this.stored.find((stored) => stored.handle === request.receiptHandle);
    if (one === undefined) {
      const status = { code: 40_013, message: "the receipt handle is not valid" };
      return methods.ChangeInvisibleDuration.response.encode({ status });
    }
    one.handle = `handle-${++this.#handles}`;
    one.visibleAtMs = Date.now() + ms;
    return methods.ChangeInvisibleDuration.response.encode({
      status: ok,
      receiptHandle: one.handle,
    });
  }

  #telemetry(stream: ServerDuplexStream<Buffer, Buffer>): void {
    this.#streams.add(stream);
    stream.on("data", (bytes: Buffer) => {
      const settings = methods.Telemetry.request.decode(bytes).settings ?? undefined;
      if (settings === undefined) return;
      this.settingsReceived.push(settings);
      if (this.behaviour.settings !== "silent") {
        this.command({ status: ok, settings: Object.assign(settings, this.behaviour.settings) });
      }
    });
    stream.on("end", () => stream.end());
    stream.on("close", () => this.#streams.delete(stream));
    stream.on("error", () => this.#streams.delete(stream));
  }

  /** Takes over what another broker has stored, as a slave that becomes master has it already. */
  takeOver(other: FakeBroker): void {
    this.stored.push(...other.stored.splice(0));
  }

  /** Sends a command to every client. */
  command(command: rocketmq.v2.ITelemetryCommand): void {
    for (const stream of this.#streams)
      stream.write(asBuffer(methods.Telemetry.response.encode(command)));
  }

  /** Ends all connections and frees the port, as a killed process would. */
  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}

/** A TCP server that treats each connection as `onConnection` says: silence, garbage, … */
export class FakeSocketServer {
  readonly #server: NetServer;
  readonly #sockets = new Set<Socket>();
  port = 0;

  private constructor(onConnection: (socket: Socket) => void) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => this.#sockets.delete(socket));
      onConnection(socket);
    });
  }

  static async start(onConnection: (socket: Socket) => void): Promise<FakeSocketServer> {
    const fake = new FakeSocketServer(onConnection);
    await new Promise<void>((resolve) => fake.#server.listen(0, "127.0.0.1", resolve));
    const address = fake.#server.address();
    fake.port = typeof address === "object" && address !== null ? address.port : 0;
    return fake;
  }

  get endpoints(): string {
    return `127.0.0.1:${this.port}`;
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

/** A port of 127.0.0.1 that refuses connections. */
export async function refusedPort(): Promise<number> {
  const server = await FakeSocketServer.start(() => {});
  const { port } = server;
  server[Symbol.dispose]();
  return port;
}

/** Resolves when `condition` holds; fails after `timeoutMs`. */
export async function until(condition: () => boolean, timeoutMs = 5_000): Promise<void> {
  const endMs = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > endMs) throw new Error(`not within ${timeoutMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
