import assert from "node:assert/strict";
import { once, setMaxListeners } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { Server as GrpcJsServer, ServerCredentials } from "@grpc/grpc-js";
import { type Clock, systemClock, type TransportLimits } from "../../base/index.ts";
import {
  callStream,
  callUnary,
  type DialledConnection,
  GrpcClient,
  GrpcStatus,
  type MethodHandler,
  RpcError,
} from "../../transport/index.ts";
import { frame, settings } from "./raw-client.ts";
import { openServer, type TestServer } from "./test-server.ts";
import { until } from "./until.ts";

const never = new AbortController().signal;
setMaxListeners(0, never);
let written = 0;

const streaming: ReadonlyMap<string, MethodHandler> = new Map<string, MethodHandler>([
  [
    "/t.T/Flood",
    {
      kind: "serverStream",
      handle: async (_request, stream) => {
        while (!stream.signal.aborted) {
          written += 1;
          if (!stream.write(Buffer.alloc(100_000))) await stream.drained();
        }
      },
    },
  ],
  [
    "/t.T/Three",
    {
      kind: "serverStream",
      handle: async (_request, stream) => {
        for (const word of ["one", "two", "three"]) stream.write(Buffer.from(word));
        throw new RpcError(GrpcStatus.aborted, "after three");
      },
    },
  ],
]);

describe("calls that we make", () => {
  let server: TestServer;
  let client: GrpcClient;
  let unusable: DialledConnection[];

  beforeEach(async () => {
    unusable = [];
    written = 0;
    client = openClient();
    server = await openServer({ methods: streaming });
  });

  afterEach(async () => {
    client.close();
    await server[Symbol.asyncDispose]();
  });

  function openClient(limits: Partial<TransportLimits> = {}): GrpcClient {
    return new GrpcClient({
      clock: systemClock,
      limits,
      onUnusable: (connection) => unusable.push(connection),
    });
  }

  function dial(port: number = server.port, isTls = false): DialledConnection {
    return client.dial({ host: "127.0.0.1", port, isTls });
  }

  function call(
    connection: DialledConnection,
    method: string,
    request: Uint8Array | string = "",
    more: { headers?: Record<string, string>; timeoutMs?: number; signal?: AbortSignal } = {},
  ): Promise<Uint8Array> {
    return callUnary(connection, {
      path: `/t.T/${method}`,
      headers: more.headers ?? {},
      request: Buffer.from(request),
      timeoutMs: more.timeoutMs ?? 20_000,
      signal: more.signal ?? never,
    });
  }

  const failing = async (
    answer: Promise<unknown>,
    status: GrpcStatus,
    message: RegExp,
  ): Promise<void> => {
    await assert.rejects(answer, (error: unknown) => {
      assert.ok(error instanceof RpcError);
      assert.equal(error.status, status, error.message);
      assert.match(error.message, message);
      return true;
    });
  };

  it("bring the answer, thousands at once on one connection", async () => {
    const connection = dial();
    const answers = await Promise.all(
      Array.from({ length: 3_000 }, (_, index) => call(connection, "LateEcho", `number ${index}`)),
    );
    answers.forEach((answer, index) => {
      assert.equal(textOf(answer), `number ${index}`);
    });
    assert.equal(server.seen.opened, 1);
    assert.equal(connection.callCount, 0);
  });

  it("carry messages far larger than all windows, both ways", async () => {
    const large = Buffer.alloc(20 * 1_048_576, "large");
    const answers = await Promise.all([call(dial(), "Echo", large), call(dial(), "Echo", large)]);
    for (const answer of answers) assert.ok(large.equals(answer));
  });

  it("carry headers, also such as do not fit a frame", async () => {
    const headers = { "x-short": "1", "x-long": "h".repeat(30_000) };
    const connection = dial();
    assert.equal((await call(connection, "Header", "x-long", { headers })).length, 30_000);
    assert.equal(textOf(await call(connection, "Header", "x-short", { headers })), "1");
  });

  it("fail with the status and the words of the server", async () => {
    await failing(call(dial(), "Fail"), GrpcStatus.failedPrecondition, /^nö, 100 %\n$/);
    await failing(call(dial(), "Nothing"), GrpcStatus.unimplemented, /Nothing/);
  });

  it("fail early when the server does not want the rest of the request", async () => {
    const request = Buffer.alloc(5 * 1_048_576);
    const connection = dial();
    await failing(call(connection, "Small", request), GrpcStatus.resourceExhausted, /1000/);
    assert.equal(textOf(await call(connection, "Echo", "still good")), "still good");
  });

  it("end at their deadline, of which the server knows", async () => {
    const connection = dial();
    await failing(
      call(connection, "Hang", "", { timeoutMs: 60 }),
      GrpcStatus.deadlineExceeded,
      /deadline/,
    );
    await until("the call's end at the server", () => server.hanging.size === 0);
    assert.equal(connection.callCount, 0);
  });

  it("end when they are cancelled, here and at the server", async () => {
    const controller = new AbortController();
    const answer = call(dial(), "Hang", "", { signal: controller.signal });
    await until("the call at the server", () => server.hanging.size === 1);
    controller.abort();
    await failing(answer, GrpcStatus.cancelled, /cancelled/);
    await until("its end at the server", () => server.hanging.size === 0);
    await failing(
      call(dial(), "Echo", "", { signal: controller.signal }),
      GrpcStatus.cancelled,
      /cancelled/,
    );
  });

  it("give the messages of a stream, then its failure", async () => {
    const seen: string[] = [];
    const options = { path: "/t.T/Three", headers: {}, request: Buffer.alloc(0), signal: never };
    const read = async (): Promise<void> => {
      for await (const bytes of callStream(dial(), { ...options, timeoutMs: 5_000 })) {
        seen.push(textOf(bytes));
      }
    };
    await failing(read(), GrpcStatus.aborted, /after three/);
    assert.deepEqual(seen, ["one", "two", "three"]);
  });

  it("do not take more of a stream than its reader works off, and end it when that leaves", async () => {
    const options = { path: "/t.T/Flood", headers: {}, request: Buffer.alloc(0), signal: never };
    const connection = dial();
    let read = 0;
    for await (const bytes of callStream(connection, { ...options, timeoutMs: 60_000 })) {
      assert.equal(bytes.length, 100_000);
      read += 1;
      // The connection goes on meanwhile; what the server may write is bounded by windows and its own buffer.
      if (read % 50 === 0) await call(connection, "Echo", "beside");
      if (read === 500) break;
    }
    assert.ok(written < read + 60, `${written} written, ${read} read`);
    await until("the end of the stream", () => server.server.calls === 0);
  });

  it("speak on a stream with both ways open", async () => {
    const request = Buffer.from("hello");
    const options = { path: "/t.T/Chat", headers: {}, request, signal: never, timeoutMs: 5_000 };
    for await (const bytes of callStream(dial(), { ...options, isOpenEnded: true })) {
      assert.deepEqual(bytes, new Uint8Array(request));
      break;
    }
    await until("the end of the stream", () => server.server.calls === 0);
  });

  it("fail with UNAVAILABLE when nobody listens, and the connection is given up", async () => {
    const port = await freePort();
    const connection = dial(port);
    await Promise.all([
      failing(call(connection, "Echo"), GrpcStatus.unavailable, /ECONNREFUSED/),
      failing(call(connection, "Echo"), GrpcStatus.unavailable, /ECONNREFUSED/),
    ]);
    assert.deepEqual(unusable, [connection]);
    await failing(call(connection, "Echo"), GrpcStatus.unavailable, /ECONNREFUSED/);
  });

  it("fail with UNAVAILABLE when the connection breaks", async () => {
    const connection = dial();
    const answer = call(connection, "Hang");
    await until("the call at the server", () => server.hanging.size === 1);
    await server.server.close({ graceMs: 0 });
    await failing(answer, GrpcStatus.unavailable, /connection|no more calls/);
    assert.deepEqual(unusable, [connection]);
  });

  it("go on when the server is about to leave, while new ones are refused", async () => {
    const connection = dial();
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await using leaving = await openServer({
      methods: new Map([
        [
          "/t.T/Slow",
          {
            kind: "unary",
            handle: async () => {
              started = true;
              await released;
              return Buffer.from("done");
            },
          },
        ],
      ]),
    });
    let started = false;
    const other = dial(leaving.port);
    const answer = call(other, "Slow");
    await until("the call at the server", () => started);
    const closing = leaving.server.close({ graceMs: 10_000 });
    await until("the word that it leaves", () => unusable.includes(other));
    await failing(call(other, "Echo"), GrpcStatus.unavailable, /no more calls/);
    release();
    assert.equal(textOf(await answer), "done");
    await closing;
    assert.equal(connection.callCount, 0);
  });

  it("go over TLS", async () => {
    await using secure = await openServer({
      tls: { mode: "enforcing", certificate: { kind: "selfSigned" } },
    });
    assert.equal(textOf(await call(dial(secure.port, true), "Echo", "safe")), "safe");
    await failing(call(dial(secure.port), "Echo"), GrpcStatus.unavailable, /./);
  });

  it("are understood by grpc-js", async () => {
    const other = new GrpcJsServer();
    const bytes = (value: Buffer): Buffer => value;
    const shape = {
      path: "/t.T/Echo",
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    } as const;
    other.addService(
      { Echo: shape },
      {
        Echo: (
          incoming: { readonly request: Buffer },
          callback: (error: null, value: Buffer) => void,
        ) => callback(null, incoming.request),
      },
    );
    const port = await new Promise<number>((resolve, reject) => {
      other.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    try {
      const request = Buffer.alloc(300_000, "x");
      assert.ok(request.equals(await call(dial(port), "Echo", request)));
      await failing(call(dial(port), "Nothing"), GrpcStatus.unimplemented, /./);
    } finally {
      other.forceShutdown();
    }
  });

  describe("to a server that speaks badly", () => {
    const hello = settings();
    const data = 0;
    const headers = 1;
    const cases: readonly (readonly [string, Buffer, GrpcStatus, RegExp])[] = [
      [
        "no HTTP/2 at all",
        Buffer.from("HTTP/1.1 200 OK\r\n\r\n"),
        GrpcStatus.unavailable,
        /protocol/,
      ],
      ["a push", frame(5, 4, 1, "0000000282"), GrpcStatus.unavailable, /PUSH_PROMISE/],
      [
        "a frame too large",
        Buffer.from("ffffff000000000001", "hex"),
        GrpcStatus.unavailable,
        /16777215/,
      ],
      ["a broken header block", frame(headers, 4, 1, "ff"), GrpcStatus.unavailable, /header block/],
      [
        "HTTP status 503",
        frame(headers, 4, 1, "08033530330a"),
        GrpcStatus.unavailable,
        /header block/,
      ],
      ["HTTP status 404", frame(headers, 4, 1, "8d"), GrpcStatus.unknown, /HTTP status 404/],
      ["trailers without a status", frame(headers, 5, 1, "88"), GrpcStatus.unknown, /status/],
      ["data that ends without trailers", frame(data, 1, 1), GrpcStatus.internal, /no status/],
      ["a compressed message", frame(data, 0, 1, "0100000000"), GrpcStatus.internal, /compressed/],
      ["a reset", frame(3, 0, 1, "00000007"), GrpcStatus.unavailable, /reset/],
      ["a reset as cancelled", frame(3, 0, 1, "00000008"), GrpcStatus.cancelled, /reset/],
      [
        "goodbye to all",
        frame(7, 0, 0, "0000000000000000"),
        GrpcStatus.unavailable,
        /no more calls/,
      ],
    ];
    for (const [what, bytes, status, message] of cases) {
      it(`end: ${what}`, async () => {
        await using bad = await openRaw((socket) => {
          socket.once("data", () => socket.write(Buffer.concat([hello, bytes])));
        });
        await failing(call(dial(bad.port), "Echo", "x"), status, message);
      });
    }

    it("fail with UNAVAILABLE when it says nothing any more, also to a ping", async () => {
      let aheadMs = 0;
      const ticks: (() => void)[] = [];
      const clock: Clock = {
        now: () => systemClock.now(),
        monotonicMs: () => systemClock.monotonicMs() + aheadMs,
        after: (delayMs, task, options) => systemClock.after(delayMs, task, options),
        every: (_periodMs, task) => {
          ticks.push(task);
          return () => {};
        },
      };
      let received = 0;
      await using silent = await openRaw((socket) => {
        socket.write(hello);
        socket.on("data", (chunk: Buffer) => {
          received += chunk.length;
        });
      });
      const patient = new GrpcClient({ clock, onUnusable: () => {} });
      const answer = call(
        patient.dial({ host: "127.0.0.1", port: silent.port, isTls: false }),
        "Echo",
        "x",
        { timeoutMs: 60_000 },
      );
      await until("the call at the server", () => received > 0);
      const before = received;
      aheadMs = 5_500;
      for (const tick of ticks) tick();
      await until("a ping", () => received > before);
      aheadMs = 11_000;
      for (const tick of ticks) tick();
      await failing(answer, GrpcStatus.unavailable, /no answer for 5000 ms/);
      patient.close();
    });

    it("end at their deadline when it says nothing", async () => {
      await using silent = await openRaw(() => {});
      const answer = call(dial(silent.port), "Echo", "x", { timeoutMs: 50 });
      await failing(answer, GrpcStatus.deadlineExceeded, /deadline/);
    });
  });
});

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

interface RawServer extends AsyncDisposable {
  readonly port: number;
}

async function openRaw(onSocket: (socket: Socket) => void): Promise<RawServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.resume();
    onSocket(socket);
  });
  return {
    port: await listening(server),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

async function listening(server: Server): Promise<number> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return address.port;
}

/** A port where nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  server.close();
  await once(server, "close");
  return port;
}
