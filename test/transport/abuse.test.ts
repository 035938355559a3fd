// One test for each bound that keeps a bad client from hurting the server.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { ErrorCode, FrameType, preface, Setting } from "../../transport/http2.ts";
import { GrpcStatus, type MethodHandler } from "../../transport/index.ts";
import { ByteClient } from "./grpc-client.ts";
import {
  callBlock,
  callHeaders,
  frame,
  grpcStatus,
  RawClient,
  settings,
  wholeCall,
  word,
} from "./raw-client.ts";
import { openServer, type TestServer } from "./test-server.ts";
import { until } from "./until.ts";

function repeat(count: number, make: (index: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

/** The server still serves others. */
async function serves(under: TestServer): Promise<void> {
  const client = new ByteClient(under.port);
  assert.equal((await client.unary("/t.T/Echo", Buffer.from("ok"))).code, 0);
  client.close();
}

async function calmed(under: TestServer, flood: Buffer): Promise<void> {
  await using client = await RawClient.connect(under.port);
  client.send(flood);
  assert.equal(await client.goaway(), ErrorCode.enhanceYourCalm);
  await client.gone();
  assert.deepEqual(under.seen.cuts, ["flood"]);
  await serves(under);
}

/** Connects and reads nothing, not even into its own memory. */
async function deafClient(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  socket.pause();
  return socket;
}

const ping = frame(FrameType.ping, 0, 0, Buffer.alloc(8));

describe("abuse", () => {
  it("cuts rapid resets", async () => {
    await using under = await openServer({ limits: { resetCountMax: 100 } });
    const flood = repeat(101, (index) =>
      Buffer.concat([
        callHeaders(2 * index + 1, "/t.T/Hang"),
        frame(FrameType.rstStream, 0, 2 * index + 1, word(ErrorCode.cancel)),
      ]),
    );
    await calmed(under, flood);
    assert.equal(under.server.calls, 0);
  });

  it("cuts floods of CONTINUATION, by count and by size", async () => {
    for (const [limits, payload] of [
      [{ continuationCountMax: 10 }, Buffer.alloc(0)],
      [{ headerBlockSizeMax: 20_000 }, Buffer.alloc(3000)],
    ] as const) {
      await using under = await openServer({ limits });
      const open = frame(FrameType.headers, 0, 1, callBlock("/t.T/Echo"));
      const more = repeat(11, () => frame(FrameType.continuation, 0, 1, payload));
      await calmed(under, Buffer.concat([open, more]));
    }
  });

  it("cuts floods of SETTINGS", async () => {
    await using under = await openServer({ limits: { settingsCountMax: 20 } });
    await calmed(
      under,
      repeat(21, () => settings()),
    );
  });

  it("cuts floods of PING", async () => {
    await using under = await openServer({ limits: { pingCountMax: 20 } });
    await calmed(
      under,
      repeat(60, () => ping),
    );
  });

  it("answers as many pings as its own frames justify", async () => {
    await using under = await openServer({ limits: { pingCountMax: 2 } });
    await using client = await RawClient.connect(under.port);
    client.send(
      ping,
      repeat(10, (index) => wholeCall(2 * index + 1, "/t.T/Echo")),
    );
    await client.next(FrameType.headers, 20);
    client.send(repeat(20, () => ping));
    await client.next(FrameType.ping, 21);
  });

  it("cuts floods of empty DATA", async () => {
    await using under = await openServer({ limits: { emptyDataCountMax: 20 } });
    const empty = repeat(21, () => frame(FrameType.data, 0, 1));
    await calmed(under, Buffer.concat([callHeaders(1, "/t.T/Echo"), empty]));
  });

  it("cuts floods of WINDOW_UPDATE", async () => {
    await using under = await openServer({ limits: { windowUpdateCountMax: 20 } });
    await calmed(
      under,
      repeat(40, () => frame(FrameType.windowUpdate, 0, 0, word(1))),
    );
  });

  it("cuts floods of PRIORITY, unknown and late frames", async () => {
    const late = Buffer.concat([
      wholeCall(1, "/t.T/Echo"),
      repeat(21, () => frame(FrameType.data, 0, 1, Buffer.alloc(1))),
    ]);
    const floods = [
      repeat(21, () => frame(FrameType.priority, 0, 1, Buffer.alloc(5))),
      repeat(21, () => frame(99, 0, 0, Buffer.alloc(5))),
      late,
    ];
    for (const flood of floods) {
      await using under = await openServer({ limits: { ignoredFrameCountMax: 20 } });
      await calmed(under, flood);
    }
  });

  it("answers a header bomb with an error and keeps its memory", async () => {
    await using under = await openServer();
    await using client = await RawClient.connect(under.port);
    // One field of 4000 bytes enters the dynamic table, then 16,000 references of one byte name it.
    const field = Buffer.concat([
      Buffer.from("400162", "hex"),
      Buffer.from([0x7f, 0xa1, 0x1e]),
      Buffer.alloc(4000, 0x61),
    ]);
    const bomb = Buffer.concat([callBlock("/t.T/Echo"), field, Buffer.alloc(12_000, 0xbe)]);
    const rssBefore = process.memoryUsage().rss;
    client.send(frame(FrameType.headers, 5, 1, bomb));
    const answer = await client.next(FrameType.headers);
    assert.equal(grpcStatus(answer.payload), GrpcStatus.resourceExhausted);
    assert.ok(process.memoryUsage().rss - rssBefore < 20_000_000);
    await serves(under);
  });

  it("refuses streams above the limit, and takes others when they have ended", async () => {
    await using under = await openServer({ limits: { concurrentStreamsMax: 3 } });
    await using client = await RawClient.connect(under.port);
    client.send(repeat(5, (index) => wholeCall(2 * index + 1, "/t.T/Hang")));
    await client.next(FrameType.rstStream, 2);
    const refused = client.ofType(FrameType.rstStream);
    assert.deepEqual(
      refused.map(({ streamId }) => streamId),
      [7, 9],
    );
    assert.ok(refused.every(({ payload }) => payload.readUInt32BE() === ErrorCode.refusedStream));
    client.send(
      frame(FrameType.rstStream, 0, 1, word(ErrorCode.cancel)),
      wholeCall(11, "/t.T/Echo"),
    );
    assert.equal((await client.next(FrameType.data)).streamId, 11);
  });

  it("resets a stream whose client opens no window", async () => {
    await using under = await openServer({ limits: { windowStallMs: 100 } });
    await using client = await RawClient.connect(
      under.port,
      settings([Setting.initialWindowSize, 0]),
    );
    client.send(wholeCall(1, "/t.T/Echo", Buffer.alloc(1000)));
    const reset = await client.next(FrameType.rstStream);
    assert.equal(reset.payload.readUInt32BE(), ErrorCode.enhanceYourCalm);
    assert.deepEqual(under.seen.cuts, ["slowReader"]);
    assert.equal(under.server.calls, 0);
    await client.settled();
    await serves(under);
  });

  it("refuses new calls while too much waits for the client", async () => {
    await using under = await openServer({ limits: { responseBufferSizeMax: 100_000 } });
    await using client = await RawClient.connect(
      under.port,
      settings([Setting.initialWindowSize, 0]),
    );
    client.send(wholeCall(1, "/t.T/Echo", Buffer.alloc(10)));
    for (let index = 1; index < 12; index += 1) {
      client.send(callHeaders(2 * index + 1, "/t.T/Echo"));
      const message = Buffer.alloc(14_000);
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(message.length, 1);
      client.send(frame(FrameType.data, 1, 2 * index + 1, Buffer.concat([prefix, message])));
    }
    const reset = await client.next(FrameType.rstStream);
    assert.equal(reset.payload.readUInt32BE(), ErrorCode.refusedStream);
    assert.ok(under.server.calls < 10);
  });

  it("holds little for a socket that takes nothing, then cuts it", async () => {
    const flood: MethodHandler = {
      kind: "serverStream",
      handle: async (_request, stream) => {
        while (!stream.signal.aborted) {
          if (!stream.write(Buffer.alloc(50_000))) await stream.drained();
        }
      },
    };
    await using under = await openServer({
      limits: { writeBufferSizeMax: 500_000, writeStallMs: 200 },
      methods: new Map([["/t.T/Flood", flood]]),
    });
    const socket = await deafClient(under.port);
    const before = process.memoryUsage().arrayBuffers;
    socket.write(
      Buffer.concat([
        preface,
        settings([Setting.initialWindowSize, 0x7fffffff]),
        frame(FrameType.windowUpdate, 0, 0, word(0x7fff0000)),
        repeat(20, (index) => wholeCall(2 * index + 1, "/t.T/Flood")),
      ]),
    );
    await until("the calls", () => under.server.calls === 20);
    await until("the cut", () => under.seen.cuts.includes("slowReader"));
    // 20 streams of at most 262,144 + 50,000 bytes, the socket's 500,000, and slack for the test itself.
    assert.ok(process.memoryUsage().arrayBuffers - before < 30_000_000);
    await until(
      "the end of the calls",
      () => under.server.calls === 0 && under.server.connections === 0,
    );
    socket.destroy();
    await serves(under);
  });

  it("cuts a client that makes it answer without reading the answers", async () => {
    await using under = await openServer({
      limits: { controlBufferSizeMax: 100_000, pingCountMax: 10_000_000 },
    });
    const socket = await deafClient(under.port);
    socket.write(Buffer.concat([preface, settings()]));
    const pings = repeat(10_000, () => ping);
    await until("the cut", () => {
      if (!socket.destroyed) socket.write(pings);
      return under.seen.cuts.includes("slowReader");
    });
    socket.destroy();
    await serves(under);
  });

  it("bounds what is announced of request messages on a connection", async () => {
    await using under = await openServer({ limits: { requestBufferSizeMax: 1_000_000 } });
    await using client = await RawClient.connect(under.port);
    const announce = Buffer.concat([Buffer.alloc(1), word(400_000)]);
    client.send(
      repeat(3, (index) =>
        Buffer.concat([
          callHeaders(2 * index + 1, "/t.T/Echo"),
          frame(FrameType.data, 0, 2 * index + 1, announce),
        ]),
      ),
    );
    const answer = await client.next(FrameType.headers);
    assert.equal(answer.streamId, 5);
    assert.equal(grpcStatus(answer.payload), GrpcStatus.resourceExhausted);
    assert.equal(under.server.calls, 2);
  });

  it("refuses messages above the largest size before they come", async () => {
    await using under = await openServer();
    await using client = await RawClient.connect(under.port);
    client.send(
      callHeaders(1, "/t.T/Echo"),
      frame(FrameType.data, 0, 1, Buffer.concat([Buffer.alloc(1), word(131 * 1_048_576)])),
    );
    const answer = await client.next(FrameType.headers);
    assert.equal(grpcStatus(answer.payload), GrpcStatus.resourceExhausted);
    assert.equal(
      (await client.next(FrameType.rstStream)).payload.readUInt32BE(),
      ErrorCode.noError,
    );
  });

  it("does not inflate without bound", async () => {
    const { gzipSync } = await import("node:zlib");
    await using under = await openServer();
    await using client = await RawClient.connect(under.port);
    const bomb = gzipSync(Buffer.alloc(10_000_000));
    const prefix = Buffer.concat([Buffer.from([1]), word(bomb.length)]);
    client.send(
      frame(FrameType.headers, 4, 1, callBlock("/t.T/Echo", ["grpc-encoding", "gzip"])),
      frame(FrameType.headers, 4, 3, callBlock("/t.T/Small", ["grpc-encoding", "gzip"])),
      frame(FrameType.data, 1, 1, Buffer.concat([prefix, bomb])),
    );
    // Small takes 1000 bytes, compressed or not.
    const small = gzipSync(Buffer.alloc(100_000));
    client.send(
      frame(FrameType.data, 1, 3, Buffer.concat([Buffer.from([1]), word(small.length), small])),
    );
    await until("both ends", () => under.seen.calls.some(({ path }) => path === "/t.T/Small"));
    assert.deepEqual(
      under.seen.calls.filter(({ path }) => path === "/t.T/Small"),
      [{ path: "/t.T/Small", status: GrpcStatus.resourceExhausted }],
    );
  });

  it("says goodbye to idle connections, but not to those that ping or wait", async () => {
    await using under = await openServer({ limits: { idleMs: 300 } });
    await using idle = await RawClient.connect(under.port);
    await using waiting = await RawClient.connect(under.port);
    await using pinging = await RawClient.connect(under.port);
    waiting.send(wholeCall(1, "/t.T/Hang"));
    const timer = setInterval(() => pinging.send(ping), 50);
    assert.equal(await idle.goaway(), ErrorCode.noError);
    await idle.gone();
    assert.deepEqual([waiting.closed, pinging.closed], [false, false]);
    assert.deepEqual(under.seen.cuts, ["idle"]);
    clearInterval(timer);
  });

  it("cuts connections that do not say what they are", async () => {
    await using under = await openServer({ limits: { handshakeMs: 100 } });
    for (const first of ["", "PRI * HT", "GET /"]) {
      const socket = connect(under.port, "127.0.0.1");
      await once(socket, "connect");
      socket.write(first);
      await once(socket, "close");
    }
    assert.deepEqual(under.seen.cuts, ["handshakeTimeout", "handshakeTimeout", "handshakeTimeout"]);
  });

  it("closes connections above the limit", async () => {
    await using under = await openServer({ limits: { connectionsMax: 2 } });
    await using first = await RawClient.connect(under.port);
    await using second = await RawClient.connect(under.port);
    await first.settled();
    await second.settled();
    const third = connect(under.port, "127.0.0.1");
    third.on("error", () => {});
    await once(third, "close");
    assert.deepEqual(under.seen.cuts, ["tooManyConnections"]);
    assert.deepEqual([first.closed, second.closed], [false, false]);
  });
});
