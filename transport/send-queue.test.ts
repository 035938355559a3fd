import assert from "node:assert/strict";
import * as fc from "fast-check";
import { SendQueue } from "./send-queue.ts";

describe("SendQueue", () => {
  it("gives the pushed bytes in order, in any cut", () => {
    const step = fc.oneof(
      fc.record({ push: fc.uint8Array({ maxLength: 30 }) }),
      fc.record({ take: fc.nat(40) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new SendQueue();
        let model: number[] = [];
        for (const each of steps) {
          if ("push" in each) {
            queue.push(each.push);
            model.push(...each.push);
          } else {
            const size = Math.min(each.take, queue.size);
            const target = new Uint8Array(size + 2);
            queue.take(target, 1, size);
            assert.deepEqual([...target.subarray(1, size + 1)], model.slice(0, size));
            model = model.slice(size);
          }
          assert.equal(queue.size, model.length);
        }
        queue.clear();
        assert.equal(queue.size, 0);
      }),
    );
  });
});
