// The modelled etcd keeps what the real one keeps.

import { ModelledEtcd } from "../../../broker/ha/election/testkit/modelled-etcd.ts";
import { ProcessClock, VirtualTime } from "../../../broker/ha/election/testkit/virtual-time.ts";
import { seededRandom } from "../../../broker/store/testkit/seeded-random.ts";
import { coordinatorSuite } from "./coordinator-suite.ts";

coordinatorSuite("modelled etcd", async () => {
  const time = new VirtualTime();
  const clock = new ProcessClock(time);
  const etcd = new ModelledEtcd({ clock, random: seededRandom(1) });
  return {
    connect: async (group) => etcd.connect("client", { group }),
    run: (promise) => time.run(promise),
    async until(reached, withinMs) {
      const endMs = time.nowMs + withinMs;
      while (!(await time.run(Promise.resolve(reached()).catch(() => false)))) {
        if (time.nowMs >= endMs) throw new Error(`not reached within ${withinMs} ms`);
        await time.pass(20);
      }
    },
    async silence() {
      etcd.down = true;
      return async () => {
        etcd.down = false;
      };
    },
    monotonicMs: () => time.nowMs,
    close: async () => {},
  };
});
