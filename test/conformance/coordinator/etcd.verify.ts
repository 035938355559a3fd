// The coordinator over real etcd members: one, and three.
import { setTimeout as sleep } from "node:timers/promises";
import { EtcdCluster } from "../../ha/etcd-cluster.ts";
import { type CoordinatorBench, coordinatorSuite } from "./coordinator-suite.ts";

async function open(count: number): Promise<CoordinatorBench> {
  const cluster = await EtcdCluster.start(count);
  const signalAll = (signal: "SIGSTOP" | "SIGCONT"): void => {
    for (let index = 0; index < count; index++) cluster.signal(index, signal);
  };
  return {
    connect: (group) => cluster.connect(group),
    run: (promise) => promise,
    async until(reached, withinMs) {
      const endMs = performance.now() + withinMs;
      while (!(await Promise.resolve(reached()).catch(() => false))) {
        if (performance.now() >= endMs) throw new Error(`not reached within ${withinMs} ms`);
        await sleep(20);
      }
    },
    async silence() {
      signalAll("SIGSTOP");
      return async () => {
        signalAll("SIGCONT");
        await cluster.ready();
      };
    },
    monotonicMs: () => performance.now(),
    close: () => cluster.close(),
  };
}

coordinatorSuite("one etcd member", () => open(1));
coordinatorSuite("three etcd members", () => open(3));
