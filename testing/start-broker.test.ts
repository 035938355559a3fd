import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messagingService } from "@cometmq/proto";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { startBroker } from "./index.ts";

function leftovers(): string[] {
  return readdirSync(tmpdir()).filter((name) => /^cometmq-[A-Za-z0-9]{6}$/.test(name));
}

/** Whether `topic` has a route at `address`, asked as clients do. */
function route(address: string, topic: string): Promise<number | undefined> {
  const client = new Client(address, credentials.createInsecure());
  const { QueryRoute } = messagingService.methods;
  return new Promise<number | undefined>((resolve, reject) => {
    const deadline = Date.now() + 5_000;
    client.waitForReady(deadline, (notReady) => {
      if (notReady !== undefined) {
        reject(notReady);
        return;
      }
      const headers = new Metadata();
      headers.set("x-mq-client-id", "c");
      client.makeUnaryRequest(
        QueryRoute.path,
        (value: { topic: { name: string } }) => Buffer.from(QueryRoute.request.encode(value)),
        (bytes: Buffer) => QueryRoute.response.decode(bytes),
        { topic: { name: topic } },
        headers,
        { deadline },
        (error, response) => (error === null ? resolve(response?.status?.code) : reject(error)),
      );
    });
  }).finally(() => client.close());
}

describe("startBroker", () => {
  it("runs a server until it is disposed, and leaves nothing behind", async () => {
    const before = leftovers();
    {
      await using broker = await startBroker();
      assert.equal(await route(broker.endpoints, "t"), 20_000);
      assert.equal(await route(broker.namesrvAddr, "t"), 20_000);
      const ready = await fetch(`http://${broker.metricsAddress}/readyz`);
      assert.equal(ready.status, 200);
      assert.match(
        await (await fetch(`http://${broker.metricsAddress}/metrics`)).text(),
        /^cometmq_namesrv_brokers\{.*\} 1$/m,
      );
    }
    assert.deepEqual(leftovers(), before);
  });

  it("is up in less than 300 ms", async () => {
    const times: number[] = [];
    for (let attempt = 0; attempt < 3; attempt++) {
      const beganMs = performance.now();
      const broker = await startBroker();
      times.push(performance.now() - beganMs);
      await broker.close();
    }
    assert.ok(Math.min(...times) < 300, `took ${times.map(Math.round).join(", ")} ms`);
  });

  it("runs several at once", async () => {
    await using one = await startBroker();
    await using two = await startBroker();
    assert.notEqual(one.endpoints, two.endpoints);
    assert.equal(await route(one.endpoints, "only-here"), 20_000);
    assert.equal(await route(two.namesrvAddr, "only-here"), 40_402);
  });

  it("keeps a folder that was given", async () => {
    const folder = await mkdtemp(join(tmpdir(), "startbroker-"));
    const first = await startBroker({ folder });
    assert.equal(await route(first.endpoints, "kept"), 20_000);
    await first.close();
    await first.close();
    assert.ok(existsSync(folder));
    const second = await startBroker({ folder, config: { autoCreateTopicEnable: "false" } });
    assert.equal(await route(second.namesrvAddr, "kept"), 20_000);
    await second.close();
    await rm(folder, { recursive: true });
  });

  it("refuses bad configuration and leaves nothing behind", async () => {
    const before = leftovers();
    await assert.rejects(startBroker({ config: { maxMessageSize: "0" } }), /maxMessageSize = "0"/);
    await assert.rejects(startBroker({ config: { nonsense: "1" } }), /nonsense/);
    assert.deepEqual(leftovers(), before);
  });
});
