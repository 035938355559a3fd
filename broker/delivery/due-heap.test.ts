import assert from "node:assert/strict";
import * as fc from "fast-check";
import { type Due, DueHeap } from "./due-heap.ts";
import { Fifo } from "./order/fifo.ts";

describe("due heap", () => {
  it("gives what is due first, whatever comes, goes or moves", () => {
    const step = fc.record({
      kind: fc.constantFrom("push", "pop", "remove", "move"),
      ms: fc.nat(50),
      which: fc.nat(100),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const heap = new DueHeap<Due>();
        const model: Due[] = [];
        for (const { kind, ms, which } of steps) {
          const chosen = model[which % Math.max(1, model.length)];
          if (kind === "push") {
            const item = { dueAtMs: ms, heapIndex: -1 };
            heap.push(item);
            model.push(item);
          } else if (kind === "pop" || kind === "remove") {
            const item = kind === "pop" ? heap.peek() : chosen;
            if (item === undefined) continue;
            heap.remove(item);
            heap.remove(item);
            assert.equal(item.heapIndex, -1);
            model.splice(model.indexOf(item), 1);
          } else if (chosen !== undefined) {
            chosen.dueAtMs = ms;
            heap.moved(chosen);
          }
          assert.equal(heap.size, model.length);
          const earliest = Math.min(...model.map((item) => item.dueAtMs));
          assert.equal(heap.peek()?.dueAtMs ?? Number.POSITIVE_INFINITY, earliest);
        }
      }),
    );
  });
});

describe("fifo", () => {
  it("is a plain queue", () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat()), { maxLength: 500 }), (steps) => {
        const fifo = new Fifo<number>();
        const model: number[] = [];
        for (const step of steps) {
          if (step === null) assert.equal(fifo.shift(), model.shift());
          else {
            fifo.push(step);
            model.push(step);
          }
          assert.equal(fifo.length, model.length);
        }
        while (model.length > 0) assert.equal(fifo.shift(), model.shift());
        assert.equal(fifo.shift(), undefined);
      }),
    );
  });
});
