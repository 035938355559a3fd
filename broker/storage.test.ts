import assert from "node:assert/strict";
import { Storage } from "./storage.ts";
import { loneQuorum, type Quorum } from "./store/quorum.ts";
import { Machine, message } from "./testkit/replica-group.ts";

/** A disk that is so full that the oldest segments are to go. */
async function fullMachine(): Promise<Machine> {
  const machine = new Machine({
    diskMaxUsedSpaceRatio: "40",
    diskSpaceCleanForciblyRatio: "50",
    diskSpaceWarningLevelRatio: "90",
    diskFreeSpaceMin: "0",
  });
  const storage = await Storage.open(machine.storage());
  const state = await storage.openState();
  await storage.store.begin();
  await state.begin();
  for (let index = 0; index < 300; index++) {
    await storage.store.send([message(`${index}`.padEnd(1_000))]);
  }
  await storage.close();
  machine.disk.capacityBytes = 500_000;
  return machine;
}

describe("the storage of a broker", () => {
  it("carries nothing on, and lets nothing go, before the beginning of a new reign is confirmed", async () => {
    const machine = await fullMachine();
    const storage = await Storage.open(machine.storage());
    await storage.openState();
    const { store } = storage;
    const { end: known, start } = store;
    // Slaves are on their way: what the master before has done last is in the log, and not applied yet.
    const slaves: Quorum = { ...loneQuorum, confirmed: () => known };
    store.heed(slaves);
    const beginning = store.begin();
    while (store.end === known) await new Promise((resolve) => setImmediate(resolve));
    const { end } = store;
    await store.clean();
    assert.deepEqual({ start: store.start, end: store.end }, { start, end });
    store.heed(loneQuorum);
    await beginning;
    await store.clean();
    assert.ok(store.start > start);
    await storage.close();
  });
});
