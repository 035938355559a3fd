import assert from "node:assert/strict";
import { once } from "node:events";
import { Metadata } from "@grpc/grpc-js";
import { AssertionError, MqError, onBackgroundFailure, silentLogger } from "../../base/index.ts";
import {
  GrpcStatus,
  type MethodHandler,
  RpcError,
  type ServerStream,
} from "../../transport/index.ts";
import { anyCertificate, ByteClient, outcomeOf } from "./grpc-client.ts";
import { openServer, type TestServer } from "./test-server.ts";
import { until } from "./until.ts";

const finished: string[] = [];
let streams: ServerStream[] = [];

const methods = new Map<string, MethodHandler>([
  [
    "/t.T/Numbers",
    {
      kind: "serverStream",
      handle: async (request, stream) => {
        const count = new DataView(request.buffer, request.byteOffset).getUint32(0);
        const size = new DataView(request.buffer, request.byteOffset).getUint32(4);
        for (let index = 0; index < count && !stream.signal.aborted; index += 1) {
          if (!stream.write(Buffer.alloc(size, index))) await stream.drained();
        }
        finished.push(await stream.finish());
      },
    },
  ],
  [
    "/t.T/Flood",
    {
      kind: "serverStream",
      handle: async (_request, stream) => {
        streams.push(stream);
        while (!stream.signal.aborted) {
          if (!stream.write(Buffer.alloc(100_000))) await stream.drained();
        }
      },
    },
  ],
  [
    "/t.T/Framed",
    {
      kind: "serverStream",
      handle: async (_request, stream) => {
        stream.writeFramed(Buffer.from("0000000001aa0000000002bbcc", "hex"));
      },
    },
  ],
  [
    "/t.T/FailLate",
    {
      kind: "serverStream",
      handle: async (_request, stream) => {
        stream.write(Buffer.from("one"));
        throw new RpcError(GrpcStatus.aborted, "after one");
      },
    },
  ],
  [
    "/t.T/Full",
    {
      kind: "unary",
      handle: async () => {
        throw new MqError("DISK_FULL", "no space");
      },
    },
  ],
  [
    "/t.T/Bug",
    {
      kind: "unary",
      handle: () => {
        throw new TypeError("secret");
      },
    },
  ],
  [
    "/t.T/Invariant",
    {
      kind: "unary",
      handle: () => {
        throw new AssertionError("broken");
      },
    },
  ],
  [
    "/t.T/Remaining",
    { kind: "unary", handle: (_request, call) => Buffer.from(String(call.remainingMs())) },
  ],
  [
    "/t.T/Peer",
    {
      kind: "unary",
      handle: (_request, { connection, authority }) => {
        const { remoteAddress, localAddress, localPort, tls } = connection;
        return Buffer.from(
          JSON.stringify({ remoteAddress, localAddress, localPort, tls, authority }),
        );
      },
    },
  ],
]);

function numbers(count: number, size: number): Buffer {
  const request = Buffer.alloc(8);
  request.writeUInt32BE(count, 0);
  request.writeUInt32BE(size, 4);
  return request;
}

for (const tls of [false, true]) {
  describe(`calls by grpc-js, ${tls ? "TLS" : "plaintext"}`, () => {
    let under: TestServer;
    let client: ByteClient;
    const errors: string[] = [];
    const logger = { ...silentLogger, error: (message: string) => errors.push(message) };

    function open(channel = {}): ByteClient {
      return new ByteClient(under.port, {
        channel,
        ...(tls ? { credentials: anyCertificate() } : {}),
      });
    }

    before(async () => {
      const secure = { mode: "enforcing", certificate: { kind: "selfSigned" } } as const;
      under = await openServer({ methods, logger, ...(tls ? { tls: secure } : {}) });
      client = open();
    });
    after(async () => {
      client.close();
      await under[Symbol.asyncDispose]();
    });
    beforeEach(() => {
      finished.length = 0;
      streams = [];
      errors.length = 0;
    });

    it("answers unary calls, at once and later, empty messages too", async () => {
      for (const path of ["/t.T/Echo", "/t.T/LateEcho"]) {
        for (const text of ["hello", ""]) {
          const { code, messages } = await client.unary(path, Buffer.from(text));
          assert.equal(code, 0);
          assert.deepEqual(messages, [Buffer.from(text)]);
        }
      }
    });

    it("answers many calls at once, each with its own bytes", async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 500 }, (_, index) =>
          client.unary(
            index % 2 === 0 ? "/t.T/Echo" : "/t.T/LateEcho",
            Buffer.from(`call ${index}`),
          ),
        ),
      );
      assert.deepEqual(
        outcomes.map(({ messages }) => messages[0]?.toString()),
        outcomes.map((_, index) => `call ${index}`),
      );
    });

    it("carries large messages both ways", async () => {
      const request = Buffer.alloc(20_000_000);
      for (let at = 0; at < request.length; at += 4096) request.writeUInt32BE(at, at);
      const { code, messages } = await client.unary("/t.T/LateEcho", request);
      assert.equal(code, 0);
      assert.ok(messages[0]?.equals(request));
    });

    it("refuses messages above the method's size", async () => {
      assert.equal((await client.unary("/t.T/Small", Buffer.alloc(1000))).code, 0);
      const { code, details } = await client.unary("/t.T/Small", Buffer.alloc(100_000));
      assert.equal(code, GrpcStatus.resourceExhausted);
      assert.match(details, /100000 bytes, the method takes 1000/);
    });

    it("inflates gzip, within the method's size", async () => {
      const compressing = open({ "grpc.default_compression_algorithm": 2 });
      const request = Buffer.alloc(100_000, "abc");
      const { messages } = await compressing.unary("/t.T/Echo", request);
      assert.ok(messages[0]?.equals(request));
      assert.equal(
        (await compressing.unary("/t.T/Small", request)).code,
        GrpcStatus.resourceExhausted,
      );
      const chat = compressing.bidi("/t.T/Chat");
      for (const text of ["one", "two"]) chat.write(Buffer.from(text.repeat(100)));
      chat.end();
      const answers = (await outcomeOf(chat)).messages;
      assert.deepEqual(
        answers,
        ["one", "two"].map((text) => Buffer.from(text.repeat(100))),
      );
      compressing.close();
    });

    it("refuses other compressions and says which it takes", async () => {
      const compressing = open({ "grpc.default_compression_algorithm": 1 });
      const { code, details } = await compressing.unary("/t.T/Echo", Buffer.alloc(100));
      assert.equal(code, GrpcStatus.unimplemented);
      assert.match(details, /deflate/);
      compressing.close();
    });

    it("passes headers on", async () => {
      const metadata = new Metadata();
      metadata.set("x-mq-client-id", "host@1@0@abc");
      const long = "v".repeat(5000);
      metadata.set("x-long", long);
      for (const [name, value] of [
        ["x-mq-client-id", "host@1@0@abc"],
        ["x-long", long],
        ["x-none", ""],
      ] as const) {
        const { messages } = await client.unary("/t.T/Header", Buffer.from(name), { metadata });
        assert.equal(messages[0]?.toString(), value);
      }
    });

    it("refuses headers that are too large and goes on", async () => {
      const metadata = new Metadata();
      for (let index = 0; index < 10; index += 1) metadata.set(`x-${index}`, "v".repeat(4000));
      const { code } = await client.unary("/t.T/Echo", Buffer.alloc(1), { metadata });
      assert.equal(code, GrpcStatus.resourceExhausted);
      assert.equal((await client.unary("/t.T/Echo", Buffer.alloc(1))).code, 0);
    });

    it("tells failures by status and message", async () => {
      const failures = {
        "/t.T/Fail": [GrpcStatus.failedPrecondition, "nö, 100 %\n"],
        "/t.T/Full": [GrpcStatus.resourceExhausted, "no space"],
        "/t.T/None": [GrpcStatus.unimplemented, "no method /t.T/None here"],
      } as const;
      for (const [path, expected] of Object.entries(failures)) {
        const { code, details } = await client.unary(path, Buffer.alloc(3));
        assert.deepEqual([code, details], expected);
      }
      assert.deepEqual(errors, []);
    });

    it("logs failures that nobody meant, once, and hides them", async () => {
      const { code, details } = await client.unary("/t.T/Bug", Buffer.alloc(3));
      assert.equal(code, GrpcStatus.internal);
      assert.doesNotMatch(details, /secret/);
      assert.equal(errors.length, 1);
    });

    it("lets a broken invariant reach the process", async () => {
      const failures: unknown[] = [];
      onBackgroundFailure((error) => failures.push(error));
      const { code } = await client.unary("/t.T/Invariant", Buffer.alloc(3));
      assert.equal(code, GrpcStatus.internal);
      assert.ok(failures[0] instanceof AssertionError);
      onBackgroundFailure((error) => {
        throw error;
      });
    });

    it("streams messages and tells when they were written", async () => {
      const { code, messages } = await outcomeOf(
        client.serverStream("/t.T/Numbers", numbers(300, 50_000)),
      );
      assert.equal(code, 0);
      assert.equal(messages.length, 300);
      assert.ok(messages.every((message, index) => message.equals(Buffer.alloc(50_000, index))));
      assert.deepEqual(finished, ["written"]);
    });

    it("streams ready-framed messages", async () => {
      const { messages } = await outcomeOf(client.serverStream("/t.T/Framed", Buffer.alloc(0)));
      assert.deepEqual(messages, [Buffer.from("aa", "hex"), Buffer.from("bbcc", "hex")]);
    });

    it("ends a stream with its error after its messages", async () => {
      const { code, details, messages } = await outcomeOf(
        client.serverStream("/t.T/FailLate", Buffer.alloc(0)),
      );
      assert.deepEqual([code, details], [GrpcStatus.aborted, "after one"]);
      assert.deepEqual(messages, [Buffer.from("one")]);
    });

    it("holds little for a reader that does not read, and hears it leave", async () => {
      const call = client.serverStream("/t.T/Flood", Buffer.alloc(0));
      call.on("error", () => {});
      call.pause();
      await until("the stream is full", () => streams[0] !== undefined);
      const [stream] = streams;
      assert.ok(stream);
      await until("a full stream", () => !stream.write(Buffer.alloc(0)));
      call.cancel();
      await until("the abort", () => stream.signal.aborted);
      await until("no call", () => under.server.calls === 0);
    });

    it("says reset when the client left before the end", async () => {
      const call = client.serverStream("/t.T/Numbers", numbers(100_000, 1000));
      call.on("error", () => {});
      await once(call, "data");
      call.cancel();
      await until("the end", () => finished.length > 0);
      assert.deepEqual(finished, ["reset"]);
    });

    it("echoes both ways, headers first", async () => {
      const call = client.bidi("/t.T/Chat");
      await once(call, "metadata");
      const outcome = outcomeOf(call);
      for (let index = 0; index < 200; index += 1) call.write(Buffer.alloc(10_000, index));
      call.end();
      const { code, messages } = await outcome;
      assert.equal(code, 0);
      assert.equal(messages.length, 200);
    });

    it("ends calls at their deadline, and tells the handler", async () => {
      const { code } = await client.unary("/t.T/Hang", Buffer.alloc(1), {
        call: { deadline: Date.now() + 100 },
      });
      assert.equal(code, GrpcStatus.deadlineExceeded);
      await until("the abort", () => under.hanging.size === 0);
    });

    it("lets a method ignore the deadline", async () => {
      const call = client.bidi("/t.T/Chat", { deadline: Date.now() + 60 * 365 * 86_400_000 });
      await once(call, "metadata");
      call.write(Buffer.from("still here"));
      await once(call, "data");
      call.end();
      assert.equal((await outcomeOf(call)).code, 0);
    });

    it("says how long a call has", async () => {
      const deadline = Date.now() + 5000;
      const [timed, open] = await Promise.all([
        client.unary("/t.T/Remaining", Buffer.alloc(1), { call: { deadline } }),
        client.unary("/t.T/Remaining", Buffer.alloc(1)),
      ]);
      const remainingMs = Number(timed.messages[0]?.toString());
      assert.ok(remainingMs > 3000 && remainingMs <= 5000, String(remainingMs));
      assert.equal(open.messages[0]?.toString(), "Infinity");
    });

    it("aborts the handler of a cancelled call", async () => {
      const before = under.aborted.length;
      const { code } = await client.unary("/t.T/Hang", Buffer.alloc(1), {
        started: (call) =>
          void until("the call", () => under.hanging.size === 1).then(() => call.cancel()),
      });
      assert.equal(code, GrpcStatus.cancelled);
      await until("the abort", () => under.aborted.length > before);
      assert.ok(under.aborted.at(-1) instanceof RpcError);
    });

    it("aborts handlers when their connection is lost", async () => {
      const leaving = open();
      const call = leaving.bidi("/t.T/Listen");
      call.on("error", () => {});
      await until("the call", () => under.hanging.size === 1);
      const [hanging] = under.hanging;
      leaving.close();
      call.cancel();
      await until("the abort", () => under.hanging.size === 0);
      await until("the close", () => hanging?.connection.closed.aborted === true);
    });

    it("knows its peer", async () => {
      const { messages } = await client.unary("/t.T/Peer", Buffer.alloc(1));
      assert.deepEqual(JSON.parse(messages[0]?.toString() ?? ""), {
        remoteAddress: "127.0.0.1",
        localAddress: "127.0.0.1",
        localPort: under.port,
        tls,
        authority: `127.0.0.1:${under.port}`,
      });
    });

    it("counts each call once, by status", async () => {
      under.seen.calls.length = 0;
      await client.unary("/t.T/Echo", Buffer.alloc(1));
      await client.unary("/t.T/Fail", Buffer.alloc(1));
      await client.unary("/t.T/None", Buffer.alloc(1));
      assert.deepEqual(under.seen.calls, [
        { path: "/t.T/Echo", status: 0 },
        { path: "/t.T/Fail", status: GrpcStatus.failedPrecondition },
        { path: "unknown", status: GrpcStatus.unimplemented },
      ]);
    });

    it("survives pings of clients without calls", async () => {
      const pinging = open({
        "grpc.keepalive_time_ms": 10,
        "grpc.keepalive_timeout_ms": 1000,
        "grpc.keepalive_permit_without_calls": 1,
      });
      const call = pinging.bidi("/t.T/Listen");
      call.on("error", () => {});
      await until("the call", () => under.hanging.size === 1);
      // About fifty pings.
      await assert.rejects(until("an end", () => under.hanging.size === 0, 500));
      call.cancel();
      pinging.close();
    });
  });
}
