import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { brokerRole, Configuration, namesrvRole } from "./index.ts";

function example(name: string): { name: string; text: string } {
  return { name, text: readFileSync(new URL(`../../deploy/${name}`, import.meta.url), "utf8") };
}

describe("example configuration files", () => {
  it("are understood completely, with their comments taken away too", () => {
    for (const uncomment of [false, true]) {
      for (const [role, name] of [
        [brokerRole, "single/broker.conf"],
        [namesrvRole, "single/namesrv.conf"],
      ] as const) {
        const { text } = example(name);
        const all = uncomment ? text.replace(/^# (\w+ = )/gm, "$1") : text;
        const { warnings } = Configuration.load<object>(role as never, {
          file: { name, text: all },
        });
        assert.deepEqual(warnings, []);
      }
    }
  });
});
