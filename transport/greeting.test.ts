import assert from "node:assert/strict";
import { classify } from "./greeting.ts";
import { preface } from "./http2.ts";

function kind(text: string): string | undefined {
  return classify(Buffer.from(text, "latin1"))?.kind;
}

describe("classify", () => {
  it("waits while the bytes may become HTTP/2, then gives what follows", () => {
    for (let size = 1; size < preface.length; size += 1) {
      assert.equal(classify(preface.subarray(0, size)), undefined);
    }
    const greeting = classify(Buffer.concat([preface, Buffer.from("rest")]));
    assert.deepEqual(greeting, { kind: "http2", rest: Buffer.from("rest") });
  });

  it("knows TLS by its first byte", () => assert.equal(kind("\x16"), "tls"));

  it("knows HTTP/1.1 by its request line", () => {
    assert.equal(kind("GET / HTTP/1.1\r\n"), "http1");
    assert.equal(kind("OPTIONS * HTTP/1.0\n"), "http1");
    assert.equal(kind("GET /long"), undefined);
    assert.equal(kind("POST"), undefined);
  });

  it("takes the rest for nonsense", () => {
    for (const text of [
      "\0",
      "get / HTTP/1.1\r\n",
      "INVALID CONNECTION PREFACE\r\n\r\n",
      "A".repeat(40),
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
    ]) {
      assert.equal(kind(text), "nonsense", JSON.stringify(text));
    }
    assert.equal(kind(`GET ${"x".repeat(5000)}`), "nonsense");
  });
});
