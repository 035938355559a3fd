import assert from "node:assert/strict";
import * as fc from "fast-check";
import { parseProperties } from "./properties.ts";

function pairs(text: string): string[][] {
  return parseProperties(text).map(({ key, value }) => [key, value]);
}

describe("properties files", () => {
  it("reads keys, values, comments and blank lines with their line numbers", () => {
    const text =
      "\uFEFF# comment\r\n\r\nbrokerName = broker-a\n! other\nbrokerId=0\ndeleteWhen: 04;16 \nflag\n";
    assert.deepEqual(parseProperties(text), [
      { key: "brokerName", value: "broker-a", line: 3 },
      { key: "brokerId", value: "0", line: 5 },
      { key: "deleteWhen", value: "04;16", line: 6 },
      { key: "flag", value: "", line: 7 },
    ]);
  });

  it("keeps = and # inside values", () => {
    assert.deepEqual(pairs("a = b = c # d"), [["a", "b = c # d"]]);
  });

  it("joins continued lines and resolves escapes", () => {
    assert.deepEqual(pairs("namesrvAddr = a:1;\\\n    b:2\npath=C\\:\\\\x\\u0041\\tb"), [
      ["namesrvAddr", "a:1;b:2"],
      ["path", "C:\\xA\tb"],
    ]);
  });

  it("never throws, and keeps plain pairs whatever stands around", () => {
    fc.assert(
      fc.property(fc.string(), (noise) => {
        parseProperties(noise);
        const clean = noise.replace(/[\\\r\n]/g, "");
        assert.deepEqual(pairs(`# ${clean}\nkey = value`), [["key", "value"]]);
      }),
    );
  });
});
