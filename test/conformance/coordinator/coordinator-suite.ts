// What every coordinator of elections has to do. Run on the modelled etcd and on real members.
import assert from "node:assert/strict";
import type {
  Coordinator,
  GroupChange,
  LeaseGrant,
  MemberEntry,
} from "../../../broker/ha/election/index.ts";

/** An etcd, and its time. */
export interface CoordinatorBench {
  /** A client of a group; the bench does not close it. */
  connect(group: string): Promise<Coordinator>;
  /** Lets time pass until the promise is settled. */
  run<T>(promise: Promise<T>): Promise<T>;
  /** Lets time pass until it is so. */
  until(reached: () => boolean | Promise<boolean>, withinMs: number): Promise<void>;
  /** Nothing is answered until the returned function is called. */
  silence(): Promise<() => Promise<void>>;
  monotonicMs(): number;
  close(): Promise<void>;
}

const deadline = { timeoutMs: 3_000 };

const entry = (brokerId: number, fields: Partial<MemberEntry> = {}): MemberEntry => ({
  brokerId,
  grpcAddress: `host-${brokerId}:8081`,
  haAddress: `host-${brokerId}:10912`,
  epoch: 3,
  logEnd: 4_096,
  priority: 7,
  round: 0,
  ...fields,
});

const record = (master: number, epoch: number, inSync: readonly number[] = [master]) => ({
  master,
  epoch,
  inSync,
});

/** Declares the suite. */
export function coordinatorSuite(name: string, open: () => Promise<CoordinatorBench>): void {
  describe(`a coordinator over ${name}`, function () {
    this.timeout(60_000);

    let bench: CoordinatorBench;
    let client: Coordinator;
    let groups = 0;
    const clients: Coordinator[] = [];

    const connect = async (): Promise<Coordinator> => {
      const connected = await bench.connect(`group/${name} ${groups}`);
      clients.push(connected);
      return connected;
    };
    const commit = (change: GroupChange) => bench.run(client.commit(change, deadline));
    const read = () => bench.run(client.read(deadline));
    const grant = (ttlSeconds = 20): Promise<LeaseGrant> =>
      bench.run(client.grantLease({ ttlSeconds, ...deadline }));
    const announce = (what: MemberEntry, leaseId: string) =>
      bench.run(client.announce(what, { leaseId, ...deadline }));

    /** A broker that has joined. */
    const join = async (brokerId: number, ttlSeconds = 20) => {
      const { leaseId } = await grant(ttlSeconds);
      assert.equal(await announce(entry(brokerId), leaseId), "done");
      return { brokerId, leaseId };
    };
    /** A broker that rules; gives the revision of the record. */
    const enthrone = async (holder: { brokerId: number; leaseId: string }): Promise<number> => {
      const outcome = await commit({
        ifRevision: 0,
        ifHolder: undefined,
        record: record(holder.brokerId, 1),
        holder,
      });
      assert.ok(outcome.kind === "done");
      return outcome.revision;
    };

    before(async () => {
      bench = await open();
    });
    after(() => bench.close());
    beforeEach(async () => {
      groups++;
      client = await connect();
    });
    afterEach(() => {
      for (const open of clients.splice(0)) open.close();
    });

    it("finds nothing in a new group", async () => {
      assert.deepEqual(await read(), { record: undefined, holder: undefined, members: [] });
    });

    it("gives back what was written, with its revision", async () => {
      const holder = await join(2);
      const revision = await enthrone(holder);
      assert.deepEqual(await read(), {
        record: { value: record(2, 1), revision },
        holder,
        members: [{ ...entry(2), leaseId: holder.leaseId }],
      });
    });

    it("lets one of two win", async () => {
      const rival = await connect();
      const holders = [await join(1), await join(2)];
      const outcomes = await bench.run(
        Promise.all(
          [client, rival].map((one, index) => {
            const holder = holders[index];
            assert.ok(holder);
            const change = {
              ifRevision: 0,
              ifHolder: undefined,
              record: record(holder.brokerId, 1),
            };
            return one.commit({ ...change, holder }, deadline);
          }),
        ),
      );
      assert.deepEqual(outcomes.map((outcome) => outcome.kind).toSorted(), ["conflict", "done"]);
      const { holder, record: stands } = await read();
      assert.equal(holder?.brokerId, stands?.value.master);
    });

    it("changes nothing when the revision is another", async () => {
      const revision = await enthrone(await join(1));
      const before = await read();
      const change = {
        ifHolder: before.holder?.leaseId,
        record: record(1, 9),
        holder: "same",
      } as const;
      for (const ifRevision of [0, revision - 1, revision + 1]) {
        assert.deepEqual(await commit({ ...change, ifRevision }), { kind: "conflict" });
      }
      assert.deepEqual(await read(), before);
    });

    it("changes nothing when another holds the group, or nobody does", async () => {
      const other = await join(2);
      const before = await read();
      const first = { ifRevision: 0, record: record(1, 1), holder: "same" } as const;
      assert.equal((await commit({ ...first, ifHolder: other.leaseId })).kind, "conflict");
      assert.deepEqual(await read(), before);
      const ifRevision = await enthrone(await join(1));
      const next = { ifRevision, record: record(1, 2), holder: "same" } as const;
      assert.equal((await commit({ ...next, ifHolder: other.leaseId })).kind, "conflict");
      assert.equal((await commit({ ...next, ifHolder: undefined })).kind, "conflict");
    });

    it("takes as holder only a member that is alive by that lease", async () => {
      const { leaseId } = await grant();
      const change = { ifRevision: 0, ifHolder: undefined, record: record(1, 1) };
      const stranger = { brokerId: 1, leaseId };
      assert.equal((await commit({ ...change, holder: stranger })).kind, "conflict");
      await join(1);
      assert.equal((await commit({ ...change, holder: stranger })).kind, "conflict");
    });

    it("changes the record of a holder, and its revision also when it is the same", async () => {
      const holder = await join(1);
      const first = await enthrone(holder);
      const change = {
        ifHolder: holder.leaseId,
        record: record(1, 1, [1, 2]),
        holder: "same",
      } as const;
      const second = await commit({ ...change, ifRevision: first });
      assert.ok(second.kind === "done" && second.revision > first);
      const third = await commit({ ...change, ifRevision: second.revision });
      assert.ok(third.kind === "done" && third.revision > second.revision);
      const { record: stands, holder: held } = await read();
      assert.deepEqual(stands, { value: record(1, 1, [1, 2]), revision: third.revision });
      assert.deepEqual(held, holder);
    });

    it("hands over in one step, and lets a holder go", async () => {
      const old = await join(1);
      const next = await join(2);
      const ifRevision = await enthrone(old);
      const change = { ifRevision, ifHolder: old.leaseId, record: record(2, 2, [1, 2]) };
      const wrong = { ...next, leaseId: old.leaseId };
      assert.equal((await commit({ ...change, holder: wrong })).kind, "conflict");
      const done = await commit({ ...change, holder: next });
      assert.ok(done.kind === "done");
      assert.deepEqual((await read()).holder, next);
      await bench.run(client.revoke({ leaseId: old.leaseId, ...deadline }));
      assert.deepEqual((await read()).holder, next);
      const release = {
        ifRevision: done.revision,
        ifHolder: next.leaseId,
        record: record(2, 2, [1, 2]),
      };
      assert.equal((await commit({ ...release, holder: "nobody" })).kind, "done");
      assert.equal((await read()).holder, undefined);
    });

    it("ends holder and member with their lease, and keeps the record", async () => {
      const holder = await join(1, 1);
      await join(2);
      await enthrone(holder);
      const grantedAtMs = bench.monotonicMs();
      await bench.until(async () => (await client.read(deadline)).holder === undefined, 6_000);
      assert.ok(bench.monotonicMs() - grantedAtMs > 700);
      const { record: stands, members } = await read();
      assert.deepEqual(stands?.value, record(1, 1));
      assert.deepEqual(
        members.map((member) => member.brokerId),
        [2],
      );
      const { leaseId } = holder;
      assert.equal(await bench.run(client.keepAlive({ leaseId, ...deadline })), "gone");
      assert.equal(await announce(entry(1), leaseId), "gone");
      const change = {
        ifRevision: stands?.revision ?? 0,
        ifHolder: undefined,
        record: record(1, 2),
      };
      assert.equal((await commit({ ...change, holder })).kind, "conflict");
      await bench.run(client.revoke({ leaseId, ...deadline }));
    });

    it("keeps alive what is renewed, and says from when the lease counts", async () => {
      const { leaseId } = await join(1, 1);
      const beganAtMs = bench.monotonicMs();
      while (bench.monotonicMs() - beganAtMs < 3_500) {
        const sentMs = bench.monotonicMs();
        const renewed = await bench.run(client.keepAlive({ leaseId, ...deadline }));
        assert.ok(renewed !== "gone");
        assert.ok(renewed.sentAtMs >= sentMs && renewed.sentAtMs <= bench.monotonicMs());
        assert.ok(renewed.ttlSeconds >= 1);
        const nextMs = bench.monotonicMs() + 200;
        await bench.until(() => bench.monotonicMs() >= nextMs, 1_000);
      }
      assert.equal((await read()).members.length, 1);
    });

    it("lets an entry be written by the lease it lives by only", async () => {
      const own = await join(1);
      const { leaseId } = await grant();
      assert.equal(await announce(entry(1, { logEnd: 1 }), leaseId), "taken");
      assert.equal(await announce(entry(1, { logEnd: 2, round: 5 }), own.leaseId), "done");
      const [member] = (await read()).members;
      assert.deepEqual(member, { ...entry(1, { logEnd: 2, round: 5 }), leaseId: own.leaseId });
      await bench.run(client.revoke({ leaseId: own.leaseId, ...deadline }));
      assert.equal(await announce(entry(1), leaseId), "done");
    });

    it("tells a watcher of every kind of change", async () => {
      const watcher = await connect();
      let told = 0;
      watcher.watch(() => told++);
      await bench.until(() => told > 0, 3_000);
      const expectTold = async (what: () => Promise<unknown>): Promise<void> => {
        told = 0;
        await what();
        await bench.until(() => told > 0, 3_000);
      };
      let holder = { brokerId: 0, leaseId: "" };
      await expectTold(async () => {
        holder = await join(1);
      });
      await expectTold(() => enthrone(holder));
      await expectTold(() => bench.run(client.revoke({ leaseId: holder.leaseId, ...deadline })));
    });

    it("keeps groups apart, also when one's name begins with the other's", async () => {
      await enthrone(await join(1));
      groups = groups * 10 + 1;
      client = await connect();
      assert.deepEqual(await read(), { record: undefined, holder: undefined, members: [] });
    });

    it("keeps its deadlines when nothing answers, and goes on when something does", async () => {
      const speak = await bench.silence();
      const beganAtMs = bench.monotonicMs();
      const unreachable = { name: "MqError", code: "COORDINATOR_UNREACHABLE" };
      await assert.rejects(bench.run(client.read({ timeoutMs: 500 })), unreachable);
      const change = {
        ifRevision: 0,
        ifHolder: undefined,
        record: record(1, 1),
        holder: "same",
      } as const;
      await assert.rejects(bench.run(client.commit(change, { timeoutMs: 500 })), unreachable);
      assert.ok(bench.monotonicMs() - beganAtMs < 2_000);
      const status = await bench.run(client.status({ timeoutMs: 300 }));
      assert.ok(status.every((member) => member.failure !== undefined));
      await speak();
      await bench.until(async () => {
        await client.read({ timeoutMs: 500 });
        return true;
      }, 10_000);
      const [member] = await bench.run(client.status(deadline));
      assert.ok(member !== undefined && member.failure === undefined && member.version !== "");
    });

    it("fails calls after it was closed", async () => {
      client.close();
      await assert.rejects(bench.run(client.read(deadline)), /closed/);
    });
  });
}
