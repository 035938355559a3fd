import assert from "node:assert/strict";
import { SendBuffers } from "./send-buffers.ts";

describe("buffers to send from", () => {
  it("are used again when the system has taken what they held, and not before", () => {
    const buffers = new SendBuffers(8);
    const first = buffers.next(0);
    buffers.sent(first, 100);
    const second = buffers.next(99);
    assert.notEqual(second, first);
    buffers.sent(second, 200);
    assert.equal(buffers.next(150), first);
    const third = buffers.next(199);
    assert.ok(third !== first && third !== second);
    assert.equal(buffers.next(200), second);
  });

  it("are as many as are on the way, and none when they were given back", () => {
    const buffers = new SendBuffers(8);
    const seen = new Set<Buffer>();
    for (let sent = 1; sent <= 100; sent += 1) {
      const buffer = buffers.next(sent - 3);
      seen.add(buffer);
      buffers.sent(buffer, sent);
    }
    assert.equal(seen.size, 3);
    buffers.clear();
    assert.equal(seen.has(buffers.next(100)), false);
  });
});
