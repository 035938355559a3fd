// How calls to etcd's gateway fail, and what is tried elsewhere then, against servers that do what etcd does not.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { type Address, systemClock } from "../../../base/index.ts";
import { EtcdGateway, type JsonObject } from "./etcd-gateway.ts";
import { timings } from "./timings.ts";

const servers: Server[] = [];
const gateways: EtcdGateway[] = [];

async function listen(listener: RequestListener): Promise<Address> {
  const server = createServer(listener);
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return { host: "127.0.0.1", port: address.port };
}

/** An address where nobody listens. */
async function deaf(): Promise<Address> {
  const address = await listen(() => {});
  const server = servers.pop();
  server?.close();
  await once(server ?? assert.fail(), "close");
  return address;
}

function gatewayTo(...members: readonly Address[]): EtcdGateway {
  const gateway = new EtcdGateway({ clock: systemClock, members });
  gateways.push(gateway);
  return gateway;
}

const answer = (body: string, status = 200): RequestListener => {
  return (_, response) => {
    response.statusCode = status;
    response.end(body);
  };
};
const good = answer('{"succeeded":true}');
const call = { path: "/v3/kv/txn", body: {}, timeoutMs: 1_000, repeatable: true };

describe("calls to the members of etcd", () => {
  afterEach(async () => {
    for (const gateway of gateways.splice(0)) gateway.close();
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  it("go to the next member when one is not there, and stay with it", async () => {
    const gateway = gatewayTo(await deaf(), await listen(good));
    const { answer } = await gateway.call({ ...call, repeatable: false });
    assert.deepEqual(answer, { succeeded: true });
    assert.equal(gateway.current, 1);
  });

  it("go to the next member when one is silent, within one deadline", async () => {
    const gateway = gatewayTo(await listen(() => {}), await listen(good));
    const beganAtMs = performance.now();
    const { answer, sentAtMs } = await gateway.call({ ...call, timeoutMs: 400 });
    assert.deepEqual(answer, { succeeded: true });
    assert.ok(sentAtMs - beganAtMs >= 190, "the time of the member that answered counts");
  });

  it("are not repeated elsewhere when they may have been acted upon", async () => {
    let other = 0;
    const gateway = gatewayTo(
      await listen((request) => request.socket.destroy()),
      await listen((request, response) => {
        other++;
        good(request, response);
      }),
    );
    await assert.rejects(gateway.call({ ...call, repeatable: false }), {
      code: "COORDINATOR_UNREACHABLE",
    });
    assert.equal(other, 0);
    assert.deepEqual((await gateway.call(call)).answer, { succeeded: true });
  });

  it("name every member that failed", async () => {
    const gateway = gatewayTo(await deaf(), await listen(answer("<html>", 502)));
    await assert.rejects(gateway.call(call), /ECONNREFUSED.*not an answer of etcd's gateway/);
  });

  it("give up at once on a failure that another member would have as well", async () => {
    const noSpace = answer('{"error":"etcdserver: mvcc: database space exceeded","code":8}', 429);
    const gateway = gatewayTo(await listen(noSpace), await listen(good));
    await assert.rejects(gateway.call(call), /database space exceeded/);
  });

  it("take another member when one has no leader", async () => {
    const noLeader = answer('{"error":"etcdserver: no leader","code":14}', 503);
    const gateway = gatewayTo(await listen(noLeader), await listen(good));
    assert.deepEqual((await gateway.call(call)).answer, { succeeded: true });
  });

  it("understand not found, and the single answer of a stream", async () => {
    const notFound = answer('{"error":"etcdserver: requested lease not found","code":5}', 404);
    assert.equal((await gatewayTo(await listen(notFound)).call(call)).answer, undefined);
    const streamed = answer('{"result":{"TTL":"2"}}\n');
    assert.deepEqual((await gatewayTo(await listen(streamed)).call(call)).answer, { TTL: "2" });
  });

  it("do not take answers without end", async () => {
    const endless = await listen((_, response) => {
      const chunk = Buffer.alloc(65_536, 32);
      const more = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on("drain", more);
      more();
    });
    await assert.rejects(gatewayTo(endless).call({ ...call, timeoutMs: 5_000 }), /answer of more/);
  });
});

describe("a stream of messages from etcd", () => {
  afterEach(() => {
    for (const gateway of gateways.splice(0)) gateway.close();
    for (const server of servers.splice(0)) server.close();
  });

  async function streamed(
    listener: RequestListener,
  ): Promise<{ messages: JsonObject[]; end: string }> {
    const gateway = gatewayTo(await listen(listener));
    const messages: JsonObject[] = [];
    const end = await new Promise<string>((resolve) => {
      gateway.stream(
        0,
        { path: "/v3/watch", body: {} },
        { message: (message) => void messages.push(message), ended: resolve },
      );
    });
    return { messages, end };
  }

  it("comes whole, however it is cut", async () => {
    const { messages, end } = await streamed((_, response) => {
      response.write('{"result":{"created":true}}\n{"res');
      setImmediate(() => response.end('ult":{"events":[]}}\n'));
    });
    assert.deepEqual(messages, [{ created: true }, { events: [] }]);
    assert.match(end, /ended the stream/);
  });

  it("ends by what etcd says", async () => {
    const failure = '{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}\n';
    const { messages, end } = await streamed(answer(failure));
    assert.deepEqual(messages, []);
    assert.equal(end, "etcdserver: no leader");
  });

  it("ends when a message has no end", async () => {
    const { end } = await streamed((_, response) => {
      response.write(Buffer.alloc(timings.etcdAnswerSizeMax + 1, 32));
    });
    assert.match(end, /too long/);
  });
});
