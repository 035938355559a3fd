// The set `ha` as it is shipped: two groups of three that elect their masters through three members of etcd.
import assert from "node:assert/strict";
import { until } from "../e2e/waiting.ts";
import { RunningSet, Traffic } from "./running-set.ts";

const whole = { masters: 2, slaves: 4 } as const;

interface Group {
  readonly brokerName: string;
  readonly masterId: number;
  readonly epoch: number;
  readonly members: readonly { readonly id: number; readonly inSync: boolean }[];
}

describe("the set ha", function () {
  this.timeout(300_000);
  let set: RunningSet;
  let traffic: Traffic;

  beforeEach(async () => {
    set = await RunningSet.start("ha");
    await set.whole(whole);
    await set.makeTopic("orders");
    traffic = await Traffic.start("orders", set.nameServers);
    assert.equal(await traffic.send(200), 0);
  });
  afterEach(async () => {
    await traffic.close();
    await set.clear();
  });

  async function group(): Promise<Group> {
    const groups = await set.mqadmin<readonly Group[]>("getSyncStateSet", "-b", "broker-a");
    return groups[0] ?? assert.fail("no record of broker-a");
  }

  /** Runs `act` while messages are sent; no send may fail in the end. */
  async function underLoad<T>(act: () => Promise<T>): Promise<T> {
    let isOver = false;
    const sending = traffic.sendUntil(() => isOver);
    try {
      return await act();
    } finally {
      isOver = true;
      assert.equal(await sending, 0, "sends that failed");
    }
  }

  it("hands a group over without a failed send", async () => {
    const before = await group();
    assert.deepEqual(
      before.members.map(({ inSync }) => inSync),
      [true, true, true],
    );
    const next = before.members.find(({ id }) => id !== before.masterId)?.id ?? 0;
    const { masterId, tookMs } = await underLoad(() =>
      set.mqadmin<{ masterId: number; tookMs: number }>(
        ...["electMaster", "-bn", "broker-a", "-b", String(next)],
      ),
    );
    assert.equal(masterId, next);
    assert.ok(tookMs < 1_000, `${tookMs} ms`);
    const after = await group();
    assert.equal(after.masterId, next);
    assert.ok(after.epoch > before.epoch);
    await set.whole(whole);
    await traffic.receiveAll();
    await set.stop();
  });

  it("elects another master when one is killed, and takes it back as a slave", async () => {
    const before = await group();
    const killed = `broker-a-${before.masterId}`;
    await underLoad(async () => {
      await set.kill(killed);
      await until("another master", async () => {
        const { masterId } = await group();
        return masterId !== 0 && masterId !== before.masterId;
      });
    });
    await traffic.receiveAll();
    await set.restart(killed);
    await set.whole(whole);
    assert.equal(await traffic.send(100), 0);
    await traffic.receiveAll();
    await set.stop();
  });

  it("goes on without the leader of etcd and without a NameServer", async () => {
    const { members } = await set.mqadmin<{
      members: readonly { readonly address: string; readonly leader: boolean }[];
    }>("getControllerMetaData");
    assert.equal(members.length, 3);
    const leader = members.find((member) => member.leader)?.address ?? assert.fail("no leader");
    const before = await group();
    await underLoad(async () => {
      await set.kill(set.nameAt(leader));
      await set.kill("namesrv-1");
      await until("another leader", async () => {
        const state = await set
          .mqadmin<{ members: readonly { address: string; leader: boolean }[] }>(
            "getControllerMetaData",
          )
          .catch(() => undefined);
        return state?.members.some((one) => one.leader && one.address !== leader) ?? false;
      });
    });
    await traffic.receiveAll();
    await set.whole(whole);
    assert.ok((await group()).epoch >= before.epoch);
    await set.stop();
  });

  it("drains a group by wipeWritePerm, and fills it again", async () => {
    await set.mqadmin("wipeWritePerm", "-b", "broker-a");
    await until("a route without writes", async () => {
      const route = await set.mqadmin<readonly { broker: string; perm: number }[]>(
        ...["topicRoute", "-t", "orders"],
      );
      return route.find(({ broker }) => broker === "broker-a")?.perm === 4;
    });
    assert.equal(await traffic.send(100), 0);
    await set.mqadmin("addWritePerm", "-b", "broker-a");
    assert.equal(await traffic.send(100), 0);
    await traffic.receiveAll();
    await set.stop();
  });
});
