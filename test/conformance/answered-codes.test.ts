// Every code of docs/errors.md as a client of gRPC gets it: the requests that handlers answer with it, over a socket.
import assert from "node:assert/strict";
import { messagingService, rocketmq } from "@cometmq/proto";
import * as grpc from "@grpc/grpc-js";
import { limits, silentLogger, systemClock } from "../../base/index.ts";
import {
  answeredCases,
  type CallOptions,
  TestBroker,
  TestClient,
} from "../../broker/remoting/testkit/index.ts";
import { GrpcServer } from "../../transport/index.ts";

const { Code } = rocketmq.v2;
const { methods } = messagingService;

/** How a call ended. */
interface Answer {
  readonly grpcStatus: number;
  readonly frames: readonly Uint8Array[];
}

/** A broker behind a server on a port of its own. */
class Served {
  readonly broker: TestBroker;
  readonly #server: GrpcServer;
  readonly #client: grpc.Client;

  private constructor(broker: TestBroker, server: GrpcServer) {
    this.broker = broker;
    this.#server = server;
    this.#client = new grpc.Client(`127.0.0.1:${server.port}`, grpc.credentials.createInsecure());
  }

  static async open(flags: Readonly<Record<string, string>> = {}): Promise<Served> {
    const broker = new TestBroker({ flags });
    const server = await GrpcServer.listen({
      host: "127.0.0.1",
      port: 0,
      methods: broker.methods,
      services: { names: [], files: new Map() },
      clock: systemClock,
      logger: silentLogger,
    });
    return new Served(broker, server);
  }

  /** Sends one message to a method of any kind; resolves when the call has ended. */
  call(path: string, request: Uint8Array, options: CallOptions = {}): Promise<Answer> {
    const headers = options.headers ?? { "x-mq-client-id": "client-1", "x-mq-language": "JAVA" };
    const metadata = new grpc.Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    const stream = this.#client.makeBidiStreamRequest(
      path,
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes: Buffer) => bytes,
      metadata,
      { deadline: Date.now() + Math.min(options.remainingMs ?? 10_000, 10_000) },
    );
    const frames: Buffer[] = [];
    stream.on("data", (frame: Buffer) => frames.push(frame));
    stream.on("error", () => {});
    return new Promise((resolve) => {
      stream.on("status", ({ code }: grpc.StatusObject) => resolve({ grpcStatus: code, frames }));
      stream.write(request);
      stream.end();
    });
  }

  async close(): Promise<void> {
    this.#client.close();
    await this.#server.close({ graceMs: 0 });
  }
}

describe("codes over gRPC", () => {
  let served: Served;

  afterEach(() => served.close());

  for (const [name, { says, ask, flags }] of answeredCases()) {
    it(`${name} is the answer: ${says}`, async () => {
      served = await Served.open(flags);
      const { broker } = served;
      const exchange = async (...call: Parameters<Served["call"]>): Promise<Uint8Array> =>
        (await served.call(...call)).frames[0] ?? new Uint8Array();
      const { code, message } = await ask({ broker, client: new TestClient(broker, exchange) });
      assert.equal(Code[code], name, message);
      if (typeof says === "string") assert.ok(message.includes(says), message);
      else assert.match(message, says);
    });
  }

  it("end a call of no method with the gRPC status UNIMPLEMENTED", async () => {
    served = await Served.open();
    const { grpcStatus, frames } = await served.call("/no.Service/Method", new Uint8Array());
    assert.deepEqual([grpcStatus, frames.length], [grpc.status.UNIMPLEMENTED, 0]);
  });

  it("end a request beyond all bounds with the gRPC status RESOURCE_EXHAUSTED", async () => {
    served = await Served.open();
    const { path } = methods.QueryRoute;
    const within = await served.call(path, Buffer.alloc(limits.callRequestSizeMax));
    assert.deepEqual([within.grpcStatus, within.frames.length], [grpc.status.OK, 1]);
    const beyond = await served.call(path, Buffer.alloc(limits.callRequestSizeMax + 1));
    assert.deepEqual(
      [beyond.grpcStatus, beyond.frames.length],
      [grpc.status.RESOURCE_EXHAUSTED, 0],
    );
  });
});
