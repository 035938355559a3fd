// What h2spec does not look at: gRPC over raw frames, odd but allowed frames, settings that change.
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { ErrorCode, FrameType, Setting } from "../../transport/http2.ts";
import { GrpcStatus } from "../../transport/index.ts";
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

const endStream = 1;
const endHeaders = 4;
const padded = 8;

function tooMuch(streamId: number): Buffer {
  return frame(FrameType.data, 0, streamId, Buffer.alloc(10_001));
}

describe("protocol", () => {
  let under: TestServer;
  before(async () => {
    under = await openServer();
  });
  after(() => under[Symbol.asyncDispose]());

  it("answers an HTTP/1.1 request with a sentence", async () => {
    const socket = connect(under.port, "127.0.0.1");
    socket.setEncoding("utf8");
    let text = "";
    socket.on("data", (chunk: string) => {
      text += chunk;
    });
    socket.write("GET /index.html HTTP/1.1\r\nHost: x\r\n\r\n");
    await once(socket, "close");
    assert.match(text, /^HTTP\/1\.1 400 .*gRPC over HTTP\/2/s);
  });

  it("takes messages in any pieces, with padding and trailers", async () => {
    await using client = await RawClient.connect(under.port);
    const message = Buffer.from("0000000004", "hex");
    client.send(
      callHeaders(1, "/t.T/Echo"),
      frame(
        FrameType.data,
        padded,
        1,
        Buffer.concat([Buffer.from([3]), message.subarray(0, 3), Buffer.alloc(3)]),
      ),
      frame(FrameType.data, 0, 1, message.subarray(3)),
      frame(FrameType.data, 0, 1, Buffer.from("abc")),
      frame(FrameType.data, 0, 1, Buffer.from("d")),
      frame(FrameType.headers, endStream | endHeaders, 1, "000178017a"),
    );
    const { payload } = await client.next(FrameType.data);
    assert.deepEqual(payload, Buffer.concat([message, Buffer.from("abcd")]));
    const trailers = await client.next(FrameType.headers, 2);
    assert.equal(grpcStatus(trailers.payload), 0);
    assert.equal(trailers.flags & endStream, endStream);
  });

  it("takes header blocks in many pieces", async () => {
    await using client = await RawClient.connect(under.port);
    const block = callBlock("/t.T/Echo");
    const pieces = Array.from({ length: 8 }, (_, index) =>
      block.subarray(index * 10, index === 7 ? undefined : (index + 1) * 10),
    );
    for (const [index, piece] of pieces.entries()) {
      const type = index === 0 ? FrameType.headers : FrameType.continuation;
      client.send(frame(type, index === 7 ? endHeaders : 0, 1, piece));
    }
    client.send(frame(FrameType.data, endStream, 1, "0000000000"));
    assert.equal((await client.next(FrameType.data)).payload.length, 5);
  });

  it("refuses requests that are not one whole message", async () => {
    await using client = await RawClient.connect(under.port);
    const broken = [
      "",
      "00000000",
      "0000000005aabb",
      "00000000000000000000",
      "0100000000",
      "0200000000",
    ];
    for (const [index, body] of broken.entries()) {
      client.send(
        callHeaders(2 * index + 1, "/t.T/Echo"),
        frame(FrameType.data, endStream, 2 * index + 1, body),
      );
    }
    await client.next(FrameType.headers, broken.length);
    for (const { payload } of client.ofType(FrameType.headers)) {
      assert.equal(grpcStatus(payload), GrpcStatus.internal);
    }
  });

  it("tells a running handler that its call was refused", async () => {
    await using client = await RawClient.connect(under.port);
    client.send(callHeaders(1, "/t.T/Listen"), frame(FrameType.data, 0, 1, "0200000000"));
    assert.equal(
      grpcStatus((await client.next(FrameType.headers, 2)).payload),
      GrpcStatus.internal,
    );
    await until("the abort", () => under.hanging.size === 0);
  });

  it("answers before the request is complete, then resets without error", async () => {
    await using client = await RawClient.connect(under.port);
    client.send(callHeaders(1, "/t.T/None"));
    assert.equal(
      grpcStatus((await client.next(FrameType.headers)).payload),
      GrpcStatus.unimplemented,
    );
    assert.equal(
      (await client.next(FrameType.rstStream)).payload.readUInt32BE(),
      ErrorCode.noError,
    );
    // What was on its way is no mistake.
    client.send(frame(FrameType.data, 0, 1, "00"), frame(FrameType.headers, 5, 1, "000178017a"));
    client.send(wholeCall(3, "/t.T/Echo"));
    assert.equal((await client.next(FrameType.data)).streamId, 3);
    assert.equal(client.ofType(FrameType.rstStream).length, 1);
  });

  it("follows the windows of the client, also when they change and go below zero", async () => {
    await using client = await RawClient.connect(
      under.port,
      settings([Setting.initialWindowSize, 10]),
    );
    client.send(wholeCall(1, "/t.T/Echo", Buffer.alloc(95)));
    assert.equal((await client.next(FrameType.data)).payload.length, 10);
    client.send(settings([Setting.initialWindowSize, 0]), settings([Setting.initialWindowSize, 5]));
    client.send(frame(FrameType.windowUpdate, 0, 1, word(25)));
    assert.equal((await client.next(FrameType.data, 2)).payload.length, 20);
    client.send(settings([Setting.initialWindowSize, 1000]));
    assert.equal((await client.next(FrameType.data, 3)).payload.length, 70);
    await client.next(FrameType.headers, 2);
  });

  it("shares the connection's window and goes on when it grows", async () => {
    await using client = await RawClient.connect(
      under.port,
      settings([Setting.initialWindowSize, 1_000_000]),
    );
    client.send(wholeCall(1, "/t.T/Echo", Buffer.alloc(15_000)));
    const rest = 65_535 - 15_005;
    for (let id = 3; id <= 11; id += 2)
      client.send(wholeCall(id, "/t.T/Echo", Buffer.alloc(14_000)));
    await client.settled();
    const sent = client
      .ofType(FrameType.data)
      .reduce((sum, { payload }) => sum + payload.length, 0);
    assert.equal(sent, 15_005 + rest);
    client.send(frame(FrameType.windowUpdate, 0, 0, word(100_000)));
    await client.next(FrameType.headers, 12);
    const total = client
      .ofType(FrameType.data)
      .reduce((sum, { payload }) => sum + payload.length, 0);
    assert.equal(total, 15_005 + 5 * 14_005);
  });

  it("says that its header table is empty when the client's shrinks", async () => {
    await using client = await RawClient.connect(
      under.port,
      settings([Setting.headerTableSize, 0]),
    );
    client.send(wholeCall(1, "/t.T/Echo"));
    const first = await client.next(FrameType.headers);
    assert.equal(first.payload[0], 0x20);
    client.send(wholeCall(3, "/t.T/Echo"));
    assert.equal((await client.next(FrameType.headers, 3)).payload[0], 0x88);
  });

  it("grants window again for what it has read", async () => {
    await using limited = await openServer({
      limits: { streamWindowSize: 20_000, connectionWindowSize: 100_000 },
    });
    await using client = await RawClient.connect(limited.port);
    await client.settled();
    client.frames.length = 0;
    const message = Buffer.alloc(60_000);
    client.send(
      callHeaders(1, "/t.T/Echo"),
      frame(FrameType.data, 0, 1, Buffer.concat([Buffer.alloc(1), word(60_000)])),
    );
    for (let at = 0; at < 60_000; at += 10_000) {
      client.send(
        frame(FrameType.data, at === 50_000 ? endStream : 0, 1, message.subarray(at, at + 10_000)),
      );
      await client.settled();
    }
    await client.next(FrameType.headers, 2);
    const granted = client.ofType(FrameType.windowUpdate);
    const ofStream = granted.filter(({ streamId }) => streamId === 1);
    assert.ok(ofStream.reduce((sum, { payload }) => sum + payload.readUInt32BE(), 0) >= 40_000);
    assert.ok(granted.some(({ streamId }) => streamId === 0));
  });

  it("resets streams that send more than their window", async () => {
    await using limited = await openServer({ limits: { streamWindowSize: 10_000 } });
    await using one = await RawClient.connect(limited.port);
    one.send(callHeaders(1, "/t.T/Echo"), tooMuch(1));
    assert.equal(
      (await one.next(FrameType.rstStream)).payload.readUInt32BE(),
      ErrorCode.flowControlError,
    );
  });

  it("ends connections that send more than their window", async () => {
    await using limited = await openServer({
      limits: { connectionWindowSize: 65_535, inboxSizeMax: 1000 },
    });
    await using client = await RawClient.connect(limited.port);
    const open = Array.from({ length: 4 }, (_, index) => callHeaders(2 * index + 1, "/t.T/Listen"));
    client.send(...open);
    await client.next(FrameType.headers, 4);
    const message = Buffer.concat([Buffer.alloc(1), word(16_000), Buffer.alloc(16_000)]);
    // What a handler does not read is not granted again.
    for (let count = 0; count < 5; count += 1) client.send(frame(FrameType.data, 0, 1, message));
    assert.equal(await client.goaway(), ErrorCode.flowControlError);
    await client.gone();
  });

  it("withholds window from a call whose handler does not read", async () => {
    await using limited = await openServer({
      limits: { streamWindowSize: 100_000, inboxSizeMax: 1000 },
    });
    await using client = await RawClient.connect(limited.port);
    client.send(callHeaders(1, "/t.T/Listen"));
    const message = Buffer.concat([Buffer.alloc(1), word(9995), Buffer.alloc(9995)]);
    for (let count = 0; count < 10; count += 1) client.send(frame(FrameType.data, 0, 1, message));
    await client.settled();
    const granted = client.ofType(FrameType.windowUpdate).filter(({ streamId }) => streamId === 1);
    assert.deepEqual(granted, []);
    client.send(frame(FrameType.data, 0, 1, Buffer.alloc(1)));
    assert.equal(
      (await client.next(FrameType.rstStream)).payload.readUInt32BE(),
      ErrorCode.flowControlError,
    );
  });

  it("warns before it closes and still takes the calls that were on their way", async () => {
    await using closing = await openServer();
    await using client = await RawClient.connect(closing.port);
    client.send(wholeCall(1, "/t.T/Hang"));
    await client.settled();
    const closed = closing.server.close({ graceMs: 10_000 });
    const warning = await client.next(FrameType.goaway);
    assert.equal(warning.payload.readUInt32BE(0), 0x7fffffff);
    client.send(wholeCall(3, "/t.T/Echo"));
    await client.next(FrameType.data);
    const ping = client.ofType(FrameType.ping).at(-1);
    client.send(frame(FrameType.ping, 1, 0, ping?.payload));
    assert.equal((await client.next(FrameType.goaway, 2)).payload.readUInt32BE(0), 3);
    client.send(wholeCall(5, "/t.T/Echo"));
    assert.equal(
      (await client.next(FrameType.rstStream)).payload.readUInt32BE(),
      ErrorCode.refusedStream,
    );
    client.send(frame(FrameType.rstStream, 0, 1, word(ErrorCode.cancel)));
    await client.gone();
    await closed;
  });
});
