// The official clients of other languages with their default settings: each sends 1,000 messages and receives them with a
// simple and with a push consumer.
import assert from "node:assert/strict";
import { assertSpread, count, places } from "./places.ts";
import { type Program, programs } from "./programs.ts";

const complete = { sent: count, simple: count, push: count };

describe("official clients with default settings", function () {
  this.timeout(400_000);
  let all: readonly Program[] = [];

  before(async () => {
    all = await programs();
  });

  // All at once: what takes long is the waiting of the clients.
  for (const [where, open] of Object.entries(places)) {
    it(`send and receive: ${where}`, async () => {
      const results = await Promise.all(
        all.map(async (program) => {
          await using place = await open("orders");
          const result = await program.run([place.endpoint, "orders", String(count)]);
          await assertSpread(place);
          return [program.name, result];
        }),
      );
      assert.deepEqual(
        results,
        all.map(({ name }) => [name, complete]),
      );
    });
  }
});
