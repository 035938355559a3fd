// A fuzzer of frames: conversations that begin well and go wrong somewhere. Whatever comes, the server must not
// crash, hang, leak calls or connections, or stop serving others. FUZZ_SEED replays a run, FUZZ_RUNS changes its length.
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { onBackgroundFailure, silentLogger } from "../../base/index.ts";
import { FrameType } from "../../transport/http2.ts";
import { ByteClient } from "./grpc-client.ts";
import {
  callBlock,
  callHeaders,
  frame,
  RawClient,
  settings,
  wholeCall,
  word,
} from "./raw-client.ts";
import { openServer } from "./test-server.ts";
import { until } from "./until.ts";

const seed = Number(process.env["FUZZ_SEED"] ?? Date.now() % 2 ** 31);
const numRuns = Number(process.env["FUZZ_RUNS"] ?? 600);

const paths = ["/t.T/Echo", "/t.T/LateEcho", "/t.T/Hang", "/t.T/Chat", "/t.T/Small", "/none"];
const path = fc.constantFrom(...paths);
const streamId = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(1, 3, 5, 7, 9) },
  { weight: 1, arbitrary: fc.nat(0x7fffffff) },
);
const someBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));

/** Frames that a good client might send. */
const good = fc.oneof(
  fc.tuple(streamId, path, someBytes).map(([id, at, message]) => wholeCall(id, at, message)),
  fc.tuple(streamId, path).map(([id, at]) => callHeaders(id, at)),
  fc
    .tuple(streamId, fc.boolean(), someBytes)
    .map(([id, end, body]) => frame(FrameType.data, end ? 1 : 0, id, body)),
  fc
    .tuple(streamId, fc.nat(100_000))
    .map(([id, size]) => frame(FrameType.windowUpdate, 0, id, word(size))),
  fc.nat(100_000).map((size) => frame(FrameType.windowUpdate, 0, 0, word(size))),
  fc.tuple(streamId, fc.nat(14)).map(([id, code]) => frame(FrameType.rstStream, 0, id, word(code))),
  fc
    .tuple(fc.nat(8), fc.nat(0x7fffffff))
    .map(([identifier, value]) => settings([identifier, value])),
  fc.tuple(streamId, path, fc.nat(40)).map(([id, at, cut]) => {
    const block = callBlock(at);
    return Buffer.concat([
      frame(FrameType.headers, 0, id, block.subarray(0, cut)),
      frame(FrameType.continuation, 4, id, block.subarray(cut)),
    ]);
  }),
  fc.constant(frame(FrameType.ping, 0, 0, Buffer.alloc(8))),
  fc.constant(frame(FrameType.goaway, 0, 0, Buffer.alloc(8))),
);

/** Frames of any kind, with any content. */
const odd = fc
  .tuple(fc.nat(12), fc.nat(255), streamId, someBytes)
  .map(([type, flags, id, payload]) => frame(type, flags, id, payload));

/** A conversation: good frames, some of them odd, some bits of the whole flipped, cut into chunks anywhere. */
const conversation = fc.record({
  frames: fc.array(
    fc.oneof(
      { weight: 6, arbitrary: good },
      { weight: 1, arbitrary: odd },
      { weight: 1, arbitrary: someBytes },
    ),
    { minLength: 1, maxLength: 20 },
  ),
  flips: fc.oneof(
    { weight: 2, arbitrary: fc.constant<[number, number][]>([]) },
    { weight: 1, arbitrary: fc.array(fc.tuple(fc.nat(), fc.nat(7)), { maxLength: 4 }) },
  ),
  cuts: fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 5 }),
  leave: fc.constantFrom("end", "destroy"),
});

describe(`frame fuzzer, FUZZ_SEED=${seed}`, () => {
  it("does not crash, hang or grow", async function () {
    this.timeout(120_000);
    const bugs: string[] = [];
    onBackgroundFailure((error) => bugs.push(String(error)));
    const logger = {
      ...silentLogger,
      error: (message: string, fields?: object) => bugs.push(message + JSON.stringify(fields)),
    };
    await using under = await openServer({ logger, limits: { handshakeMs: 2000 } });
    const other = new ByteClient(under.port);
    const sizes: number[] = [];
    await fc.assert(
      fc.asyncProperty(conversation, async ({ frames, flips, cuts, leave }) => {
        await using client = await RawClient.connect(under.port);
        const bytes = Buffer.concat(frames);
        for (const [at, bit] of flips) {
          const place = at % bytes.length;
          if (bytes.length > 0) bytes[place] = (bytes[place] ?? 0) ^ (1 << bit);
        }
        for (let at = 0, turn = 0; at < bytes.length && !client.closed; turn += 1) {
          const size = cuts[turn % cuts.length] ?? 1;
          client.send(bytes.subarray(at, at + size));
          at += size;
          // Let the server see the chunks one by one.
          await new Promise((resolve) => {
            setImmediate(resolve);
          });
        }
        if (leave === "end") client.socket.end();
        else client.socket.destroy();
        assert.equal((await other.unary("/t.T/Echo", Buffer.from("ok"))).code, 0);
        assert.deepEqual(bugs, []);
        sizes.push(process.memoryUsage().heapUsed);
      }),
      { seed, numRuns, endOnFailure: true },
    );
    other.close();
    await until(
      "the end of all calls and connections",
      () => under.server.calls === 0 && under.server.connections === 0,
    );
    assert.deepEqual(bugs, []);
    // Garbage comes and goes: compare the lowest points.
    const early = Math.min(...sizes.slice(0, sizes.length / 2));
    const late = Math.min(...sizes.slice(sizes.length / 2));
    assert.ok(late - early < 30_000_000, `grew from ${early} to ${late} bytes`);
    onBackgroundFailure((error) => {
      throw error;
    });
  });
});
