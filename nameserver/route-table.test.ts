import assert from "node:assert/strict";
import * as fc from "fast-check";
import type { RegisteredTopic } from "../route/index.ts";
import { findTopic, listBrokers, listTopics } from "./route-queries.ts";
import {
  brokerAddress,
  brokerKey,
  emptyRoutes,
  type RoutedBroker,
  type RouteEvent,
  type RouteState,
  type RouteStep,
  stepRoutes,
} from "./route-table.ts";

const silenceMaxMs = 10_000;

function topic(name: string, readQueueNums = 8): RegisteredTopic {
  return { name, readQueueNums, writeQueueNums: 8, perm: 6, messageType: "NORMAL", order: false };
}

function broker(parts: Partial<RoutedBroker> = {}): RoutedBroker {
  return {
    clusterName: "c",
    brokerName: "a",
    brokerId: 0,
    host: "10.0.0.1",
    observedHost: "10.0.0.9",
    port: 8081,
    haPort: 0,
    duty: "master",
    instanceId: "i1",
    softwareVersion: "0",
    version: { epoch: 1, timestampMs: 1, counter: 1 },
    topics: new Map([["t", topic("t")]]),
    ...parts,
  };
}

function register(session: number, parts: Partial<RoutedBroker> = {}): RouteEvent {
  return { kind: "register", session, expires: true, broker: broker(parts) };
}

function run(events: readonly RouteEvent[], from: RouteState = emptyRoutes): RouteStep {
  let step: RouteStep = { state: from, changes: [], answer: { kind: "none" } };
  for (const event of events) step = stepRoutes(step.state, event, 0);
  return step;
}

function reasonOf(step: RouteStep): string {
  assert.equal(step.answer.kind, "refused");
  return step.answer.reason;
}

const duty = "slave" as const;
const version = (counter: number): RoutedBroker["version"] => ({
  epoch: 1,
  timestampMs: 1,
  counter,
});

function unique(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length;
}

describe("route table", () => {
  it("takes a broker in, and out when its stream ends", () => {
    const joined = run([register(1)]);
    assert.deepEqual(joined.answer, { kind: "accepted", version: version(1) });
    assert.deepEqual(
      joined.changes.map(({ kind }) => kind),
      ["joined"],
    );
    assert.equal(findTopic(joined.state, "t").length, 1);
    const left = run([{ kind: "leave", session: 1, reason: "gone" }], joined.state);
    assert.equal(left.state.brokers.size, 0);
    assert.equal(left.changes[0]?.kind, "left");
  });

  it("takes a silent broker out after the allowed silence, not before, and never a local one", () => {
    const { state } = run([register(1)]);
    const at = (nowMs: number): number =>
      stepRoutes(state, { kind: "tick", silenceMaxMs }, nowMs).state.brokers.size;
    assert.equal(at(silenceMaxMs), 1);
    assert.equal(at(silenceMaxMs + 1), 0);
    const heard = stepRoutes(state, { kind: "heartbeat", session: 1, version: version(1) }, 9_000);
    const later = stepRoutes(heard.state, { kind: "tick", silenceMaxMs }, 19_000);
    assert.equal(later.state.brokers.size, 1);
    const local = run([{ ...register(1), expires: false } as RouteEvent]);
    const much = stepRoutes(local.state, { kind: "tick", silenceMaxMs }, 1e9);
    assert.equal(much.state.brokers.size, 1);
  });

  it("refuses a second live broker of one name and id, naming the first", () => {
    const first = run([register(1)]);
    const parts = { host: "10.0.0.2", instanceId: "i2", version: { ...version(1), epoch: 99 } };
    const second = run([register(2, parts)], first.state);
    assert.match(reasonOf(second), /taken by the live broker at 10\.0\.0\.1:8081/);
    assert.equal(second.state, first.state);
    const after = run([{ kind: "leave", session: 1, reason: "" }, register(2, parts)], first.state);
    assert.equal(after.answer.kind, "accepted");
  });

  it("lets the newer process at one place win over an older one that has not been missed yet", () => {
    const first = run([register(1)]);
    const newer = { instanceId: "i2", version: { epoch: 2, timestampMs: 5, counter: 0 } };
    const second = run([register(2, newer)], first.state);
    assert.equal(second.answer.kind, "accepted");
    assert.deepEqual(
      second.changes.map(({ kind, broker }) => [kind, broker.session]),
      [
        ["left", 1],
        ["joined", 2],
      ],
    );
    assert.match(reasonOf(run([register(3)], second.state)), /a newer process of a/);
  });

  it("lets the same process come back on a new stream at any version", () => {
    const first = run([register(1)]);
    const back = run([register(2, { version: version(0), host: "10.0.0.7" })], first.state);
    assert.equal(back.answer.kind, "accepted");
    assert.equal(listBrokers(back.state)[0]?.session, 2);
    const late = run([{ kind: "leave", session: 1, reason: "late" }], back.state);
    assert.equal(late.state.brokers.size, 1, "the end of the old stream must not end the new one");
  });

  it("refuses another broker at the same address, and a name of another cluster", () => {
    const first = run([register(1)]);
    const place = run([register(2, { brokerName: "b", instanceId: "i2" })], first.state);
    assert.match(reasonOf(place), /address 10\.0\.0\.1:8081 is taken by the live broker a/);
    const other = { brokerId: 1, duty, port: 9, instanceId: "i2", clusterName: "d" };
    assert.match(reasonOf(run([register(2, other)], first.state)), /belongs to cluster c/);
    const replica = { brokerId: 1, duty, port: 9, instanceId: "i2" };
    assert.equal(run([register(2, replica)], first.state).answer.kind, "accepted");
  });

  it("refuses a master of a reign that is over, naming the newer one, and takes the newer beside the old", () => {
    const master = (brokerId: number, epoch: number): RouteEvent =>
      register(brokerId, {
        brokerId,
        port: brokerId,
        instanceId: `i${brokerId}`,
        version: { ...version(1), epoch },
      });
    const fifth = run([master(1, 5)]);
    const reason = reasonOf(run([master(2, 4)], fifth.state));
    assert.match(reason, /has a master of epoch 5 with brokerId 1 at 10\.0\.0\.1:1/);
    assert.match(reasonOf(run([master(2, 5)], fifth.state)), /epoch 5/);
    const sixth = run([master(2, 6)], fifth.state);
    assert.equal(sixth.answer.kind, "accepted");
    assert.deepEqual(
      findTopic(sixth.state, "t").map((place) => place.broker.brokerId),
      [2],
    );
    const without = run([{ kind: "leave", session: 2, reason: "" }], sixth.state);
    assert.equal(findTopic(without.state, "t")[0]?.broker.brokerId, 1);
  });

  it("routes to no slave, whatever it says, and to an acting one where there is no master", () => {
    const slave = register(2, { brokerId: 1, port: 9, instanceId: "i2", duty: "slave" });
    const only = run([slave]);
    assert.deepEqual(findTopic(only.state, "t"), []);
    assert.deepEqual(listTopics(only.state), []);
    const acting = run([
      register(2, { brokerId: 1, port: 9, instanceId: "i2", duty: "acting" }),
      register(1),
    ]);
    assert.equal(findTopic(acting.state, "t")[0]?.broker.brokerId, 0);
    const alone = run([{ kind: "leave", session: 1, reason: "" }], acting.state);
    assert.equal(findTopic(alone.state, "t")[0]?.broker.brokerId, 1);
  });

  it("applies changes on top of the version they start from, else wants the full table", () => {
    const first = run([register(1)]);
    const change = (base: number, to: number): RouteEvent => ({
      kind: "change",
      session: 1,
      base: version(base),
      version: version(to),
      upserts: [topic("u", 2)],
      removals: ["t"],
    });
    const good = run([change(1, 2)], first.state);
    assert.deepEqual(good.answer, { kind: "accepted", version: version(2) });
    assert.deepEqual(
      [...listTopics(good.state)].map(({ name }) => name),
      ["u"],
    );
    const gap = run([change(2, 3)], first.state);
    assert.deepEqual(gap.answer, { kind: "fullTableWanted", version: version(1) });
    const repeated = run([change(1, 2), change(1, 2)], first.state);
    assert.deepEqual(repeated.answer, { kind: "accepted", version: version(2) });
    const stranger = run([{ ...change(1, 2), session: 9 } as RouteEvent], first.state);
    assert.equal(stranger.answer.kind, "fullTableWanted");
  });

  it("wants the full table when a heartbeat shows another version", () => {
    const first = run([register(1)]);
    const beat = (counter: number): string =>
      run([{ kind: "heartbeat", session: 1, version: version(counter) }], first.state).answer.kind;
    assert.equal(beat(1), "accepted");
    assert.equal(beat(2), "fullTableWanted");
  });

  it("lists in a stable order and by cluster", () => {
    const { state } = run([
      register(1, { brokerName: "b", port: 1, instanceId: "1" }),
      register(2, { brokerName: "a", brokerId: 1, duty, port: 2, instanceId: "2" }),
      register(3, { brokerName: "a", port: 3, instanceId: "3" }),
      register(4, { brokerName: "z", port: 4, instanceId: "4", clusterName: "b" }),
    ]);
    assert.deepEqual(listBrokers(state).map(brokerKey), ["z/0", "a/0", "a/1", "b/0"]);
    assert.deepEqual(listBrokers(state, { cluster: "c" }).map(brokerKey), ["a/0", "a/1", "b/0"]);
    assert.deepEqual(
      findTopic(state, "t").map((place) => brokerKey(place.broker)),
      ["a/0", "b/0", "z/0"],
    );
    assert.deepEqual(listTopics(state), [
      { name: "t", clusters: ["b", "c"], messageType: "NORMAL" },
    ]);
  });

  it("keeps its invariants under any sequence of events", () => {
    const session = fc.integer({ min: 1, max: 6 });
    const small = fc.integer({ min: 0, max: 3 });
    const anyBroker = fc.record({
      brokerName: fc.constantFrom("a", "b"),
      brokerId: fc.integer({ min: 0, max: 1 }),
      duty: fc.constantFrom("master" as const, "slave" as const, "acting" as const),
      clusterName: fc.constantFrom("c", "d"),
      port: fc.integer({ min: 1, max: 4 }),
      instanceId: fc.constantFrom("i1", "i2", "i3"),
      version: small.map(version),
    });
    const event: fc.Arbitrary<RouteEvent> = fc.oneof(
      fc.tuple(session, anyBroker).map(([id, parts]) => register(id, parts)),
      fc.record({
        kind: fc.constant("change" as const),
        session,
        base: small.map(version),
        version: small.map(version),
        upserts: fc.array(
          fc.constantFrom("t", "u").map((name) => topic(name)),
          { maxLength: 2 },
        ),
        removals: fc.array(fc.constantFrom("t", "u"), { maxLength: 1 }),
      }),
      fc.record({
        kind: fc.constant("heartbeat" as const),
        session,
        version: small.map(version),
      }),
      session.map((id): RouteEvent => ({ kind: "leave", session: id, reason: "" })),
      fc.constant<RouteEvent>({ kind: "tick", silenceMaxMs }),
    );
    const timed = fc.tuple(event, fc.integer({ min: 0, max: 8_000 }));
    fc.assert(
      fc.property(fc.array(timed, { maxLength: 40 }), (events) => {
        let state = emptyRoutes;
        let nowMs = 0;
        const followed = new Map<string, number>();
        for (const [next, laterMs] of events) {
          nowMs += laterMs;
          const before = [...state.brokers];
          const step = stepRoutes(state, next, nowMs);
          assert.deepEqual([...state.brokers], before, "the old state was changed");
          if (step.answer.kind === "refused") assert.equal(step.state, state);
          for (const change of step.changes) {
            if (change.kind === "left") followed.delete(brokerKey(change.broker));
            else followed.set(brokerKey(change.broker), change.broker.session);
          }
          state = step.state;
          const held = [...state.brokers.values()];
          assert.deepEqual(
            new Map(held.map((entry) => [brokerKey(entry), entry.session])),
            followed,
            "the changes do not tell the state",
          );
          for (const [key, entry] of state.brokers) assert.equal(key, brokerKey(entry));
          assert.ok(unique(held.map((entry) => entry.session)), "a session holds two brokers");
          assert.ok(unique(held.map((entry) => entry.instanceId)), "a process holds two brokers");
          assert.ok(unique(held.map(brokerAddress)), "two brokers at one address");
          if (next.kind === "tick") {
            assert.ok(held.every((entry) => nowMs - entry.heardAtMs <= silenceMaxMs));
          }
        }
      }),
      { numRuns: 300 },
    );
  });
});
