// Calls without a client library's habits: one call, what came back.

import { brokerAdminService, messagingService, type rocketmq } from "@cometmq/proto";
import * as grpc from "@grpc/grpc-js";

interface Codecs<Wish, Answer> {
  readonly path: string;
  readonly request: { encode(value: Wish): Uint8Array };
  readonly response: { decode(bytes: Uint8Array): Answer };
}

const { methods } = messagingService;

/** A connection that calls as one client id. */
export class RawClient {
  readonly #client: grpc.Client;
  readonly clientId: string;

  /** `frameSizeMax`: largest message it takes, bytes; -1 is any. Libraries of gRPC take 4 MiB by default. */
  /** The official client it passes for. */
  language = "JAVA";

  constructor(
    endpoints: string,
    clientId = "raw@1",
    options: { readonly frameSizeMax: number } = { frameSizeMax: -1 },
  ) {
    this.#client = new grpc.Client(endpoints, grpc.credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.max_receive_message_length": options.frameSizeMax,
    });
    this.clientId = clientId;
  }

  /** One unary call. */
  call<Wish, Answer>(method: Codecs<Wish, Answer>, wish: Wish): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        method.path,
        (value: Wish) => Buffer.from(method.request.encode(value)),
        (bytes: Buffer) => method.response.decode(bytes),
        wish,
        this.metadata(),
        { deadline: Date.now() + 10_000 },
        (error, answer) => {
          if (error !== null) reject(error);
          else if (answer === undefined) reject(new Error("no answer"));
          else resolve(answer);
        },
      );
    });
  }

  /** A receive; `cancel` resets it. */
  receive(wish: rocketmq.v2.IReceiveMessageRequest, timeoutMs = 25_000): ReceiveCall {
    const method = methods.ReceiveMessage;
    const stream = this.#client.makeServerStreamRequest(
      method.path,
      (value: rocketmq.v2.IReceiveMessageRequest) => Buffer.from(method.request.encode(value)),
      (bytes: Buffer) => method.response.decode(bytes),
      wish,
      this.metadata(),
      { deadline: Date.now() + timeoutMs },
    );
    const frames: rocketmq.v2.ReceiveMessageResponse[] = [];
    const done = new Promise<Received>((resolve, reject) => {
      stream.on("data", (frame: rocketmq.v2.ReceiveMessageResponse) => frames.push(frame));
      stream.on("error", reject);
      stream.on("end", () => {
        resolve({
          code: frames[0]?.status?.code ?? 0,
          text: frames[0]?.status?.message ?? "",
          messages: frames.flatMap((frame) => (frame.message ? [frame.message] : [])),
        });
      });
    });
    return { done, cancel: () => stream.cancel() };
  }

  /** A pull; `cancel` resets it. */
  pull(wish: rocketmq.v2.IPullMessageRequest, timeoutMs = 25_000): PullCall {
    const method = methods.PullMessage;
    const stream = this.#client.makeServerStreamRequest(
      method.path,
      (value: rocketmq.v2.IPullMessageRequest) => Buffer.from(method.request.encode(value)),
      (bytes: Buffer) => method.response.decode(bytes),
      wish,
      this.metadata(),
      { deadline: Date.now() + timeoutMs },
    );
    const frames: rocketmq.v2.PullMessageResponse[] = [];
    const done = new Promise<Pulled>((resolve, reject) => {
      stream.on("data", (frame: rocketmq.v2.PullMessageResponse) => frames.push(frame));
      stream.on("error", reject);
      stream.on("end", () => {
        const last = frames.at(-1);
        resolve({
          code: frames[0]?.status?.code ?? 0,
          text: frames[0]?.status?.message ?? "",
          messages: frames.flatMap((frame) => (frame.message ? [frame.message] : [])),
          nextOffset: last?.content === "nextOffset" ? (last.nextOffset ?? undefined) : undefined,
        });
      });
    });
    return { done, cancel: () => stream.cancel() };
  }

  /** Opens a telemetry stream. */
  telemetry(): grpc.ClientDuplexStream<
    rocketmq.v2.ITelemetryCommand,
    rocketmq.v2.TelemetryCommand
  > {
    const method = methods.Telemetry;
    return this.#client.makeBidiStreamRequest(
      method.path,
      (value: rocketmq.v2.ITelemetryCommand) => Buffer.from(method.request.encode(value)),
      (bytes: Buffer) => method.response.decode(bytes),
      this.metadata(),
    );
  }

  /** Any bytes to any method; what came back as it came. Never rejects. */
  raw(path: string, bytes: Uint8Array, options: { deadlineMs: number }): Promise<RawAnswer> {
    const stream = this.#client.makeBidiStreamRequest(
      path,
      (value: Uint8Array) => Buffer.from(value),
      (value: Buffer) => value,
      this.metadata(),
      { deadline: Date.now() + options.deadlineMs },
    );
    const frames: Buffer[] = [];
    stream.on("data", (frame: Buffer) => frames.push(frame));
    stream.on("error", () => {});
    return new Promise((resolve) => {
      stream.on("status", ({ code, details }: grpc.StatusObject) =>
        resolve({ grpcStatus: code, text: details, frames }),
      );
      stream.write(bytes);
      stream.end();
    });
  }

  metadata(): grpc.Metadata {
    const metadata = new grpc.Metadata();
    metadata.set("x-mq-client-id", this.clientId);
    metadata.set("x-mq-language", this.language);
    return metadata;
  }

  close(): void {
    this.#client.close();
  }
}

/** A receive under way. */
export interface ReceiveCall {
  readonly done: Promise<Received>;
  cancel(): void;
}

/** A pull under way. */
export interface PullCall {
  readonly done: Promise<Pulled>;
  cancel(): void;
}

/** What a pull brought. */
export interface Pulled extends Received {
  readonly nextOffset: number | undefined;
}

/** What a receive brought. */
export interface Received {
  readonly code: number;
  readonly text: string;
  readonly messages: readonly rocketmq.v2.Message[];
}

/** The frames of an answer and how its call ended. */
export interface RawAnswer {
  readonly grpcStatus: number;
  readonly text: string;
  readonly frames: readonly Buffer[];
}

export { brokerAdminService, messagingService };
