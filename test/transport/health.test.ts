import assert from "node:assert/strict";
import { once } from "node:events";
import { GrpcStatus } from "../../transport/index.ts";
import { ByteClient, outcomeOf } from "./grpc-client.ts";
import { openServer, type TestServer } from "./test-server.ts";

// HealthCheckRequest { service } and HealthCheckResponse { status }.
function request(service: string): Buffer {
  return service === ""
    ? Buffer.alloc(0)
    : Buffer.concat([Buffer.from([10, service.length]), Buffer.from(service)]);
}
const serving = Buffer.from([8, 1]);
const notServing = Buffer.from([8, 2]);
const unknownService = Buffer.from([8, 3]);

describe("health service", () => {
  let under: TestServer;
  let client: ByteClient;
  beforeEach(async () => {
    under = await openServer();
    client = new ByteClient(under.port);
  });
  afterEach(async () => {
    client.close();
    await under[Symbol.asyncDispose]();
  });

  it("checks the server and its services", async () => {
    for (const service of ["", "t.T"]) {
      const { messages } = await client.unary("/grpc.health.v1.Health/Check", request(service));
      assert.deepEqual(messages, [serving]);
    }
    under.server.setServing(false);
    const { messages } = await client.unary("/grpc.health.v1.Health/Check", request(""));
    assert.deepEqual(messages, [notServing]);
  });

  it("does not know other services", async () => {
    const { code } = await client.unary("/grpc.health.v1.Health/Check", request("x.Y"));
    assert.equal(code, GrpcStatus.notFound);
    const watch = client.serverStream("/grpc.health.v1.Health/Watch", request("x.Y"));
    watch.on("error", () => {});
    assert.deepEqual(await once(watch, "data"), [unknownService]);
    watch.cancel();
  });

  it("tells watchers of changes, and ends when the server closes", async () => {
    const watch = client.serverStream("/grpc.health.v1.Health/Watch", request("t.T"));
    const outcome = outcomeOf(watch);
    await once(watch, "data");
    under.server.setServing(false);
    await once(watch, "data");
    under.server.setServing(true);
    await once(watch, "data");
    await under.server.close({ graceMs: 10_000 });
    const { code, messages } = await outcome;
    assert.equal(code, 0);
    assert.deepEqual(messages, [serving, notServing, serving, notServing]);
  });

  it("refuses a broken request", async () => {
    const { code } = await client.unary("/grpc.health.v1.Health/Check", Buffer.from([10, 200]));
    assert.equal(code, GrpcStatus.invalidArgument);
  });
});
