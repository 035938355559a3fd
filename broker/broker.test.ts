import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  brokerRole,
  Configuration,
  MqError,
  silentLogger,
  systemClock,
  systemRandom,
} from "../base/index.ts";
import { ToldRegistrar } from "../registrar/testkit/index.ts";
import { Broker, type BrokerOptions } from "./broker.ts";
import { nodeDisk } from "./store/index.ts";

describe("Broker", () => {
  let folder: string;
  let registrar: ToldRegistrar;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-broker-"));
    registrar = new ToldRegistrar();
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  function options(flags: Readonly<Record<string, string>> = {}): BrokerOptions {
    const free = { grpcServerPort: "0", metricsPromExporterPort: "0", haListenPort: "0" };
    return {
      config: Configuration.load(brokerRole, {
        flags: { storePathRootDir: folder, brokerName: "b", ...free, ...flags },
      }),
      clock: systemClock,
      random: systemRandom,
      disk: nodeDisk,
      logger: silentLogger,
      registrar,
    };
  }

  it("is ready when open, and makes itself known", async () => {
    const broker = await Broker.open(options({ brokerIP1: "10.0.0.9" }));
    try {
      assert.equal(broker.notReady, undefined);
      assert.ok(broker.grpcPort > 0 && broker.metricsPort > 0);
      const [first, ...more] = registrar.published;
      assert.equal(more.length, 0);
      assert.equal(first?.brokerName, "b");
      assert.equal(first?.host, "10.0.0.9");
      assert.equal(first?.port, broker.grpcPort);
      assert.equal(first?.version.epoch, 1);
    } finally {
      await broker.close();
    }
    assert.equal(broker.notReady, "stopping");
    assert.equal(registrar.closed, 1);
  });

  it("shows its role at scrape", async () => {
    const broker = await Broker.open(options());
    try {
      const answer = await fetch(`http://127.0.0.1:${broker.metricsPort}/metrics`);
      const text = await answer.text();
      assert.match(text, /^cometmq_ha_standing\{.*standing="master".*\} 1$/m);
      assert.match(text, /^cometmq_ha_standing\{.*standing="slave".*\} 0$/m);
      assert.match(text, /^cometmq_ha_epoch\{.*\} 1$/m);
    } finally {
      await broker.close();
    }
  });

  it("opens a new epoch each time", async () => {
    await (await Broker.open(options())).close();
    await (await Broker.open(options())).close();
    assert.deepEqual(
      registrar.published.map(({ version }) => version.epoch),
      [1, 2],
    );
  });

  it("closes once, however often it is asked", async () => {
    const broker = await Broker.open(options());
    await Promise.all([broker.close(), broker.close()]);
    await broker[Symbol.asyncDispose]();
    assert.equal(registrar.closed, 1);
  });

  it("leaves nothing open when its port is taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => {
      taken.listen(0, "127.0.0.1", resolve);
    });
    const address = taken.address();
    assert.ok(address !== null && typeof address === "object");
    try {
      await assert.rejects(
        Broker.open(options({ grpcServerPort: String(address.port) })),
        (error: unknown) => error instanceof MqError && error.code === "BAD_CONFIG",
      );
      assert.ok(registrar.closed >= 1);
      assert.deepEqual(registrar.published, []);
      // The folder is free again.
      await (await Broker.open(options())).close();
    } finally {
      taken.close();
    }
  });

  it("does not serve when a NameServer refuses it, and says why", async () => {
    const reason = "brokerName b with brokerId 0 is taken by the live broker at 10.0.0.1:8081";
    registrar.states = [{ address: "ns:9876", state: "refused", sinceMs: 0, reason }];
    await assert.rejects(
      Broker.open(options()),
      (error: unknown) =>
        error instanceof MqError && error.code === "BAD_CONFIG" && error.message.includes(reason),
    );
    assert.ok(registrar.closed >= 1);
  });

  it("refuses a folder in use", async () => {
    const broker = await Broker.open(options());
    try {
      await assert.rejects(
        Broker.open(options()),
        (error: unknown) => error instanceof MqError && error.code === "FOLDER_IN_USE",
      );
    } finally {
      await broker.close();
    }
  });
});
