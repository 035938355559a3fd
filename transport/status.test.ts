import assert from "node:assert/strict";
import * as fc from "fast-check";
import { encodeGrpcMessage, parseGrpcTimeout } from "./status.ts";

describe("encodeGrpcMessage", () => {
  it("is printable ASCII and decodes to the message", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 100 }), (message) => {
        const text = encodeGrpcMessage(message);
        assert.match(text, /^[\x20-\x7e]*$/);
        assert.equal(decodeURIComponent(text), message);
      }),
    );
  });

  it("cuts long messages", () => {
    assert.equal(encodeGrpcMessage("x".repeat(5000)).length, 1024);
  });
});

describe("parseGrpcTimeout", () => {
  it("knows every unit", () => {
    const timeouts = {
      "1H": 3_600_000,
      "2M": 120_000,
      "3S": 3000,
      "4m": 4,
      "5u": 0.005,
      "6n": 0.000006,
    };
    for (const [text, ms] of Object.entries(timeouts)) assert.equal(parseGrpcTimeout(text), ms);
  });

  it("does not overflow on 60 years", () => {
    assert.equal(parseGrpcTimeout("31535999M"), 31_535_999 * 60_000);
  });

  it("refuses what is malformed", () => {
    for (const text of ["", "S", "1", "1s", "-1S", "1.5S", "123456789S", "1S ", "0x1S"]) {
      assert.equal(parseGrpcTimeout(text), undefined, text);
    }
  });
});
