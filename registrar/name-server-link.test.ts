import assert from "node:assert/strict";
import { type cometmq, nameServerService } from "@cometmq/proto";
import {
  type handleBidiStreamingCall,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
} from "@grpc/grpc-js";
import {
  type Clock,
  parseAddress,
  silentLogger,
  systemClock,
  systemRandom,
} from "../base/index.ts";
import type { Registration } from "../route/index.ts";
import { joinRegistrars, openGrpcRegistrar, type Registrar } from "./index.ts";

type Stream = ServerDuplexStream<cometmq.v1.BrokerEvent, cometmq.v1.IRegisterReply>;

/** A NameServer that notes what it hears and answers as told. */
class FakeNameServer {
  readonly events: cometmq.v1.BrokerEvent[] = [];
  readonly streams: Stream[] = [];
  answer: (event: cometmq.v1.BrokerEvent) => cometmq.v1.IRegisterReply | undefined = () => ({
    status: { code: 20_000, message: "" },
  });
  port = 0;
  #server = new Server();

  async start(port = 0): Promise<this> {
    this.#server = new Server();
    const { Register } = nameServerService.methods;
    const handle: handleBidiStreamingCall<cometmq.v1.BrokerEvent, cometmq.v1.IRegisterReply> = (
      stream,
    ) => {
      this.streams.push(stream);
      stream.on("error", () => {});
      stream.on("data", (event: cometmq.v1.BrokerEvent) => {
        this.events.push(event);
        const reply = this.answer(event);
        if (reply !== undefined) stream.write(reply);
      });
      stream.on("end", () => stream.end());
    };
    this.#server.addService(
      {
        Register: {
          path: Register.path,
          requestStream: true,
          responseStream: true,
          requestSerialize: (value: cometmq.v1.IBrokerEvent) =>
            Buffer.from(Register.request.encode(value)),
          requestDeserialize: (bytes: Buffer) => Register.request.decode(bytes),
          responseSerialize: (value: cometmq.v1.IRegisterReply) =>
            Buffer.from(Register.response.encode(value)),
          responseDeserialize: (bytes: Buffer) => Register.response.decode(bytes),
        },
      },
      { Register: handle },
    );
    this.port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(
        `127.0.0.1:${port}`,
        ServerCredentials.createInsecure(),
        (error, bound) => (error === null ? resolve(bound) : reject(error)),
      );
    });
    return this;
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

/** Ten times as fast, so that heartbeats and waits do not hold the tests up. */
const hurriedClock: Clock = {
  ...systemClock,
  after: (delayMs, task, options) => systemClock.after(delayMs / 10, task, options),
  every: (periodMs, task) => systemClock.every(periodMs / 10, task),
};

function table(counter: number, ...topics: string[]): Registration {
  return {
    clusterName: "c",
    brokerName: "a",
    brokerId: 0,
    host: "",
    port: 8081,
    haPort: 10912,
    version: { epoch: 1, counter },
    topics: topics.map((name) => ({
      name,
      readQueueNums: 8,
      writeQueueNums: 8,
      perm: 6,
      messageType: "NORMAL",
      order: false,
    })),
  };
}

async function until(condition: () => boolean, what: string, withinMs = 5_000): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > endMs) assert.fail(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe("name server link", () => {
  let nameServer: FakeNameServer;
  let registrar: Registrar | undefined;

  beforeEach(async () => {
    nameServer = await new FakeNameServer().start();
  });
  afterEach(async () => {
    await registrar?.close();
    registrar = undefined;
    nameServer.stop();
  });

  async function open(...ports: number[]): Promise<Registrar> {
    registrar = await openGrpcRegistrar({
      addresses: ports.map((port) => {
        const address = parseAddress(`127.0.0.1:${port}`);
        assert.ok(address !== undefined);
        return address;
      }),
      clock: hurriedClock,
      random: systemRandom,
      logger: silentLogger,
    });
    return registrar;
  }

  const states = (): string[] | undefined => registrar?.status().map(({ state }) => state);
  const registered = (): boolean => states()?.every((state) => state === "registered") ?? false;

  it("sends the whole table, then changes, then heartbeats, then that it leaves", async () => {
    const link = await open(nameServer.port);
    assert.deepEqual(states(), ["connecting"]);
    link.publish(table(1, "t", "u"));
    await until(registered, "registered");
    const [first] = nameServer.events;
    assert.equal(first?.registration?.brokerName, "a");
    assert.deepEqual(
      first?.registration?.topics.map(({ name }) => name),
      ["t", "u"],
    );
    assert.match(first?.registration?.instanceId ?? "", /^[0-9a-f]{24}$/);
    link.publish(table(2, "u", "v"));
    await until(() => nameServer.events.length >= 2, "changes");
    const changes = nameServer.events[1]?.changes;
    assert.deepEqual(changes?.removals, ["t"]);
    assert.deepEqual(
      changes?.upserts.map(({ name }) => name),
      ["v"],
    );
    assert.equal(changes?.base?.counter, 1);
    assert.equal(changes?.version?.counter, 2);
    await until(() => nameServer.events.length >= 3, "heartbeat");
    assert.equal(nameServer.events[2]?.heartbeat?.version?.counter, 2);
    await link.close();
    assert.ok(nameServer.events.at(-1)?.unregistration !== null);
  });

  it("sends the whole table again when the NameServer wants it", async () => {
    nameServer.answer = (event) =>
      event.changes === null
        ? { status: { code: 20_000, message: "" } }
        : { status: { code: 20_000, message: "" }, fullTableWanted: true };
    const link = await open(nameServer.port);
    link.publish(table(1, "t"));
    await until(registered, "registered");
    link.publish(table(2, "t", "u"));
    await until(() => nameServer.events.length >= 3, "whole table");
    assert.equal(nameServer.events[2]?.registration?.topics.length, 2);
  });

  it("registers again within two seconds after the NameServer came back", async () => {
    const link = await open(nameServer.port);
    link.publish(table(1, "t"));
    await until(registered, "registered");
    const { port } = nameServer;
    nameServer.stop();
    await until(() => states()?.[0] === "connecting", "loss noticed");
    link.publish(table(2, "t", "u"));
    await until(() => (link.status()[0]?.reason ?? "").includes("ECONNREFUSED"), "dialled in vain");
    nameServer = await new FakeNameServer().start(port);
    const beganMs = performance.now();
    await until(registered, "registered again");
    assert.ok(performance.now() - beganMs < 2_000);
    assert.equal(nameServer.events[0]?.registration?.topics.length, 2);
  });

  it("tells why it is refused, and keeps trying", async () => {
    nameServer.answer = () => ({ status: { code: 40_000, message: "taken by 10.0.0.1:8081" } });
    const link = await open(nameServer.port);
    link.publish(table(1));
    await until(() => states()?.[0] === "refused", "refused");
    assert.equal(link.status()[0]?.reason, "taken by 10.0.0.1:8081");
    nameServer.answer = () => ({ status: { code: 20_000, message: "" } });
    await until(registered, "registered at last");
    assert.equal(link.status()[0]?.reason, "");
  });

  it("gives a silent NameServer up and dials again", async () => {
    let heard = 0;
    nameServer.answer = () =>
      ++heard === 1 ? { status: { code: 20_000, message: "" } } : undefined;
    const link = await open(nameServer.port);
    link.publish(table(1));
    await until(() => nameServer.streams.length >= 2, "second stream");
    assert.match(link.status()[0]?.reason ?? "", /no answer for 3000 ms/);
  });

  it("works with each NameServer on its own, and closes while one is away", async () => {
    const link = await open(nameServer.port, 1);
    link.publish(table(1));
    await until(() => states()?.[0] === "registered", "first registered");
    assert.equal(states()?.[1], "connecting");
    await until(() => (link.status()[1]?.reason ?? "").includes("127.0.0.1:1"), "reason");
    const beganMs = performance.now();
    await link.close();
    await link.close();
    assert.ok(performance.now() - beganMs < 1_500);
    const count = nameServer.streams.length;
    link.publish(table(2));
    assert.equal(nameServer.streams.length, count);
  });

  it("joins several registrars", async () => {
    const one = await open(nameServer.port);
    const both = joinRegistrars([one, one]);
    both.publish(table(1));
    await until(registered, "registered");
    assert.equal(both.status().length, 2);
    await both.close();
  });
});
