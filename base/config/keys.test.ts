import assert from "node:assert/strict";
import * as fc from "fast-check";
import * as key from "./keys.ts";

const row = { default: 1, meaning: "" };

describe("configuration key kinds", () => {
  it("int takes whole numbers in its range only", () => {
    const port = key.int({ ...row, min: 0, max: 65_535 });
    assert.equal(port.parse("8081"), 8081);
    for (const bad of ["", "-1", "65536", "1.5", "0x10", "1e3", "8081 ", "١"]) {
      assert.equal(port.parse(bad), undefined, bad);
    }
    assert.equal(port.allowed, "a whole number from 0 to 65535");
  });

  it("duration takes a plain number in its unit, or a suffix", () => {
    const hours = key.duration({ ...row, unit: "h", min: 0, max: 1000 });
    assert.equal(hours.parse("72"), 72);
    assert.equal(hours.parse("3d"), 72);
    assert.equal(hours.parse("30m"), 0.5);
    assert.equal(hours.parse("1001"), undefined);
    assert.equal(hours.parse("3 weeks"), undefined);
    const ms = key.duration({ ...row, unit: "ms", min: 10, max: 60_000 });
    assert.equal(ms.parse("5 s"), 5000);
    assert.equal(ms.parse("9"), undefined);
  });

  it("size takes bytes or binary suffixes in any case", () => {
    const size = key.size({ ...row, min: 1, max: 2 ** 40 });
    assert.equal(size.parse("1073741824"), 2 ** 30);
    for (const text of ["1g", "1G", "1GiB", "1 gb", "1024m", "1048576KiB"]) {
      assert.equal(size.parse(text), 2 ** 30, text);
    }
    assert.equal(size.parse("64b"), 64);
    assert.equal(size.parse("0"), undefined);
    assert.equal(size.parse("2TiB"), undefined);
    assert.equal(size.parse("1.5g"), undefined);
  });

  it("addresses take names, IPv4 and bracketed IPv6, several", () => {
    const list = key.addresses({ default: [], meaning: "" });
    assert.deepEqual(list.parse("a:9876; 10.0.0.1:9876;[::1]:80"), [
      { host: "a", port: 9876 },
      { host: "10.0.0.1", port: 9876 },
      { host: "::1", port: 80 },
    ]);
    assert.deepEqual(list.parse(""), []);
    for (const bad of ["a", "a:", "a:0", "a:65536", "::1:80", "http://a:1", "a:1;b"]) {
      assert.equal(list.parse(bad), undefined, bad);
    }
    assert.equal(list.format([{ host: "::1", port: 80 }]), "[::1]:80");
  });

  it("hours take 0 to 23", () => {
    const list = key.hours({ default: [4], meaning: "" });
    assert.deepEqual(list.parse("04;16"), [4, 16]);
    assert.equal(list.parse("24"), undefined);
    assert.equal(list.parse(""), undefined);
    assert.equal(list.defaultText, "04");
  });

  it("enum and boolean ignore case", () => {
    const mode = key.oneOf({ default: "A_B", values: ["A_B", "C"], meaning: "" });
    assert.equal(mode.parse("a_b"), "A_B");
    assert.equal(mode.parse("d"), undefined);
    const flag = key.boolean({ default: true, meaning: "" });
    assert.equal(flag.parse("FALSE"), false);
    assert.equal(flag.parse("no"), undefined);
  });

  it("what format writes, parse reads again", () => {
    const size = key.size({ ...row, min: 0, max: 2 ** 50 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 49 }), (value) => {
        assert.equal(size.parse(size.format(value)), value);
      }),
    );
    const list = key.hours({ default: [4], meaning: "" });
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 23 }), { minLength: 1 }), (value) => {
        assert.deepEqual(list.parse(list.format(value)), value);
      }),
    );
  });
});
