import assert from "node:assert/strict";
import { type Clock, silentLogger } from "../base/index.ts";
import { Registry } from "./registry.ts";

/** A clock that a test moves; its only period is that of the registry. */
class HandClock implements Clock {
  nowMs = 0;
  tick: () => void = () => {};

  now(): number {
    return this.nowMs;
  }
  monotonicMs(): number {
    return this.nowMs;
  }
  after(): () => void {
    return () => {};
  }
  every(_periodMs: number, task: () => void): () => void {
    this.tick = task;
    return () => {
      this.tick = () => {};
    };
  }
  /** Lets `ms` pass with a tick each second. */
  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 1_000) {
      this.nowMs += 1_000;
      this.tick();
    }
  }
}

function registerOne(registry: Registry, end: (reason: string) => void): number {
  const session = registry.openSession(end);
  registry.apply({
    kind: "register",
    session: session.id,
    expires: true,
    broker: {
      clusterName: "c",
      brokerName: "a",
      brokerId: 0,
      host: "h",
      observedHost: "h",
      port: 1,
      haPort: 0,
      duty: "master",
      instanceId: "i",
      softwareVersion: "0",
      version: { epoch: 1, timestampMs: 0, counter: 0 },
      topics: new Map(),
    },
  });
  return session.id;
}

describe("registry", () => {
  it("ends the stream of a broker that is silent for ten seconds", () => {
    const clock = new HandClock();
    const registry = new Registry({ clock, logger: silentLogger });
    registry.start();
    const ends: string[] = [];
    registerOne(registry, (reason) => ends.push(reason));
    clock.pass(10_000);
    assert.equal(registry.state.brokers.size, 1);
    clock.pass(1_000);
    assert.equal(registry.state.brokers.size, 0);
    assert.deepEqual(ends, ["silent for more than 10000 ms"]);
  });

  it("does not take a standstill of its own for silence of the brokers", () => {
    const clock = new HandClock();
    const registry = new Registry({ clock, logger: silentLogger });
    registry.start();
    const session = registerOne(registry, () => {});
    clock.nowMs += 60_000;
    clock.tick();
    assert.equal(registry.state.brokers.size, 1);
    const version = { epoch: 1, timestampMs: 0, counter: 0 };
    registry.apply({ kind: "heartbeat", session, version });
    clock.pass(5_000);
    assert.equal(registry.state.brokers.size, 1);
  });

  it("ends all sessions when it closes", () => {
    const registry = new Registry({ clock: new HandClock(), logger: silentLogger });
    const ends: string[] = [];
    registerOne(registry, (reason) => ends.push(reason));
    registry.close();
    assert.deepEqual(ends, ["the NameServer is stopping"]);
  });
});
