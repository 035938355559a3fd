// Offsets that clients and operators set, at the brokers of one group: with the slave when it acts, with the master when it
// returns, and in a state that is built anew from the log.
import assert from "node:assert/strict";
import { systemClock } from "../base/index.ts";
import type { Replica } from "./replica.ts";
import {
  Machine,
  message,
  ReplicaGroup,
  type RunningReplica,
  TestPeers,
} from "./testkit/replica-group.ts";

const place = { group: "g", topic: "t", queueId: 0 };

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadlineMs = systemClock.monotonicMs() + 10_000;
  while (!condition()) {
    if (systemClock.monotonicMs() > deadlineMs) assert.fail(`never: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function isLevel(one: RunningReplica, other: RunningReplica): boolean {
  const [a, b] = [one.replica.slot.current?.store, other.replica.slot.current?.store];
  return a !== undefined && b !== undefined && a.confirmed === b.confirmed && a.end === b.end;
}

function offsetsOf({ local }: Replica): NonNullable<Replica["local"]>["delivery"]["offsets"] {
  assert.ok(local !== undefined, "it does not serve");
  return local.delivery.offsets;
}

describe("offsets that are set, in a group of fixed roles", () => {
  it("are with the slave that acts, and what is committed there is with the master that returns", async () => {
    const group = new ReplicaGroup();
    const home = new Machine({ haListenPort: "100" });
    const first = await group.start(home);
    const { local } = first.replica;
    assert.ok(local !== undefined);
    await local.metadata.updateTopic({ name: "t", readQueueNums: 1, writeQueueNums: 1 });
    await local.metadata.updateGroup({ name: "g" });
    for (let index = 0; index < 50; index += 1) await local.store.send([message(`${index}`)]);
    await offsetsOf(first.replica).commit(place, 40);
    await offsetsOf(first.replica).reset([{ place, offset: 10 }]);
    const peers = new TestPeers();
    const slave = new Machine({
      brokerRole: "SLAVE",
      brokerId: "1",
      haListenPort: "101",
      haMasterAddress: "loop:100",
    });
    const second = await group.start(slave, peers);
    await until(
      "the slave has everything",
      () => isLevel(first, second) && second.replica.slaveLog.isReady,
    );
    home.disk.kill();
    group.network.kill(100);
    await until("the slave acts", () => second.replica.local !== undefined);
    assert.equal(offsetsOf(second.replica).get(place), 10, "where the reset has put it");
    await offsetsOf(second.replica).commit(place, 25);

    const places = new TestPeers();
    const { brokerId } = second.replica.identity();
    places.places = [{ brokerId, grpcAddress: "", haAddress: `loop:${second.port}` }];
    const third = await group.start(home, places);
    assert.equal(offsetsOf(third.replica).get(place), 25);
    assert.equal(second.replica.local, undefined);
    await second.close();
    await third.close();
  });

  it("go back in the state too, over a snapshot of it", async () => {
    const group = new ReplicaGroup();
    const home = new Machine({ haListenPort: "100" });
    const first = await group.start(home);
    const { local } = first.replica;
    assert.ok(local !== undefined);
    await local.metadata.updateTopic({ name: "t", readQueueNums: 1, writeQueueNums: 1 });
    await local.metadata.updateGroup({ name: "g" });
    for (let index = 0; index < 50; index += 1) await local.store.send([message(`${index}`)]);
    await offsetsOf(first.replica).commit(place, 40);
    await local.state.snapshot();
    await offsetsOf(first.replica).commit(place, 5);
    await local.state.snapshot();
    await first.close();
    await home.database().destroy();
    const again = await group.start(home);
    assert.equal(offsetsOf(again.replica).get(place), 5);
    await again.close();
  });
});
