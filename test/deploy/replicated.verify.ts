// The sets with masters and slaves as they are shipped: a master dies under traffic, its slave serves, it comes back.
import assert from "node:assert/strict";
import { until } from "../e2e/waiting.ts";
import { RunningSet, Traffic } from "./running-set.ts";

const whole = { masters: 2, slaves: 2 } as const;

for (const name of ["2m-2s-async", "2m-2s-sync"]) {
  describe(`the set ${name}`, function () {
    this.timeout(300_000);
    let set: RunningSet;
    let traffic: Traffic;

    beforeEach(async () => {
      set = await RunningSet.start(name);
      await set.whole(whole);
      await set.makeTopic("orders");
      traffic = await Traffic.start("orders", set.nameServers);
      assert.equal(await traffic.send(200), 0);
      await traffic.receiveAll();
    });
    afterEach(async () => {
      await traffic.close();
      await set.clear();
    });

    it("goes on without a master, and takes it back", async () => {
      assert.equal(await traffic.send(200), 0);
      await set.whole(whole);
      await set.kill("broker-a");
      await until("an acting master", async () => {
        const acting = (await set.brokers()).filter(({ role }) => role === "acting");
        return acting.map((broker) => broker.name).join() === "broker-a";
      });
      assert.equal(await traffic.send(100), 0);
      // What only broker-a had sent out comes from its slave.
      await traffic.receiveAll();

      await set.restart("broker-a");
      await set.whole(whole);
      await traffic.receiveFor(12_000);
      assert.deepEqual(traffic.redelivered, []);
      assert.equal(await traffic.send(100), 0);
      await traffic.receiveAll();
      await set.stop();
    });

    it("goes on without a slave, which catches up when it is back", async () => {
      await set.kill("broker-a-s");
      assert.equal(await traffic.send(200), 0);
      await traffic.receiveAll();
      await set.restart("broker-a-s");
      await set.whole(whole);
      await set.stop();
    });

    it("goes on without a NameServer", async () => {
      await set.kill("namesrv-1");
      assert.equal(await traffic.send(100), 0);
      await traffic.receiveAll();
      assert.deepEqual(traffic.redelivered, []);
      await set.stop();
    });
  });
}
