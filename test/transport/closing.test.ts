import assert from "node:assert/strict";
import { once } from "node:events";
import { GrpcStatus, type MethodHandler } from "../../transport/index.ts";
import { ByteClient, outcomeOf } from "./grpc-client.ts";
import { openServer } from "./test-server.ts";
import { until } from "./until.ts";

describe("closing a server", () => {
  it("answers calls in flight, then closes", async () => {
    let release: (() => void) | undefined;
    const slow: MethodHandler = {
      kind: "unary",
      handle: async (request) => {
        const copy = Uint8Array.from(request);
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return copy;
      },
    };
    const under = await openServer({ methods: new Map([["/t.T/Slow", slow]]) });
    const client = new ByteClient(under.port);
    const outcome = client.unary("/t.T/Slow", Buffer.from("in flight"));
    await until("the call", () => under.server.calls === 1);
    const closed = under.server.close({ graceMs: 10_000 });
    release?.();
    const { code, messages } = await outcome;
    assert.deepEqual([code, messages], [0, [Buffer.from("in flight")]]);
    await closed;
    assert.equal(under.server.connections, 0);
    client.close();
  });

  it("ends bidirectional calls in peace", async () => {
    const under = await openServer();
    const client = new ByteClient(under.port);
    const call = client.bidi("/t.T/Chat");
    await once(call, "metadata");
    const outcome = outcomeOf(call);
    await under.server.close({ graceMs: 10_000 });
    assert.equal((await outcome).code, 0);
    client.close();
  });

  it("aborts what does not end within the grace", async () => {
    const under = await openServer();
    const client = new ByteClient(under.port);
    const outcome = client.unary("/t.T/Hang", Buffer.alloc(1));
    await until("the call", () => under.hanging.size === 1);
    await under.server.close({ graceMs: 50 });
    assert.equal((await outcome).code, GrpcStatus.unavailable);
    await until("the abort", () => under.aborted.length === 1);
    client.close();
  });

  it("closes idle connections at once, and can be closed twice", async () => {
    const under = await openServer();
    const client = new ByteClient(under.port);
    await client.unary("/t.T/Echo", Buffer.alloc(1));
    await Promise.all([
      under.server.close({ graceMs: 60_000 }),
      under.server.close({ graceMs: 60_000 }),
    ]);
    assert.equal(under.seen.closed, 1);
    client.close();
  });

  it("refuses new connections while it closes", async () => {
    const under = await openServer();
    await under.server.close({ graceMs: 0 });
    const client = new ByteClient(under.port);
    assert.equal((await client.unary("/t.T/Echo", Buffer.alloc(1))).code, GrpcStatus.unavailable);
    client.close();
  });

  it("says so when the port is taken", async () => {
    await using under = await openServer();
    const { GrpcServer } = await import("../../transport/index.ts");
    const { silentLogger, systemClock } = await import("../../base/index.ts");
    await assert.rejects(
      GrpcServer.listen({
        host: "127.0.0.1",
        port: under.port,
        methods: new Map(),
        services: { names: [], files: new Map() },
        clock: systemClock,
        logger: silentLogger,
      }),
      /cannot listen on 127\.0\.0\.1:\d+/,
    );
  });
});
