import assert from "node:assert/strict";
import { MqError } from "../../base/index.ts";
import { type PollingWish, pollingTimeMs } from "./polling-time.ts";

const none: PollingWish = {
  requestedMs: undefined,
  settingsMs: undefined,
  remainingMs: Number.POSITIVE_INFINITY,
  requestTimeoutMs: undefined,
  clientVersion: "",
};

describe("pollingTimeMs", () => {
  it("takes the wish of the request when it fits", () => {
    assert.equal(pollingTimeMs({ ...none, requestedMs: 15_000, remainingMs: 18_000 }), 15_000);
    assert.equal(pollingTimeMs({ ...none, requestedMs: 7_000 }), 7_000);
  });

  it("clamps to 5 and 20 seconds", () => {
    assert.equal(pollingTimeMs({ ...none, requestedMs: 100 }), 5_000);
    assert.equal(pollingTimeMs({ ...none, requestedMs: 90_000 }), 20_000);
  });

  it("falls back to the settings, then to the deadline, then to the longest", () => {
    assert.equal(pollingTimeMs({ ...none, settingsMs: 9_000, remainingMs: 12_000 }), 9_000);
    assert.equal(pollingTimeMs({ ...none, remainingMs: 13_000 }), 11_500);
    assert.equal(pollingTimeMs(none), 20_000);
  });

  it("ends well before a deadline that equals the polling time, as Rust's does", () => {
    assert.equal(pollingTimeMs({ ...none, requestedMs: 20_000, remainingMs: 20_000 }), 18_500);
    assert.equal(pollingTimeMs({ ...none, requestedMs: 40_000, remainingMs: 40_000 }), 20_000);
    assert.equal(pollingTimeMs({ ...none, requestedMs: 5_000, remainingMs: 5_000 }), 3_500);
  });

  it("takes a deadline of 5 seconds that has lost a little on its way", () => {
    assert.equal(pollingTimeMs({ ...none, requestedMs: 5_000, remainingMs: 4_950 }), 3_450);
    const wish = { ...none, requestedMs: 5_000, remainingMs: 4_400 };
    assert.throws(() => pollingTimeMs(wish), { code: "ILLEGAL_POLLING_TIME" });
  });

  it("takes half the client's own request timeout as headroom", () => {
    const wish = { ...none, requestedMs: 20_000, remainingMs: 20_000, requestTimeoutMs: 10_000 };
    assert.equal(pollingTimeMs(wish), 15_000);
  });

  it("serves a short wish whose deadline is near", () => {
    assert.equal(pollingTimeMs({ ...none, requestedMs: 1_000, remainingMs: 4_000 }), 2_500);
  });

  it("refuses a wish that a near deadline cannot fit", () => {
    assert.throws(
      () => pollingTimeMs({ ...none, requestedMs: 20_000, remainingMs: 3_000 }),
      (error: unknown) =>
        error instanceof MqError &&
        error.code === "ILLEGAL_POLLING_TIME" &&
        error.message.includes("20000 ms"),
    );
    assert.throws(() => pollingTimeMs({ ...none, remainingMs: 100 }), MqError);
  });

  it("says BAD_REQUEST to clients that do not know ILLEGAL_POLLING_TIME", () => {
    for (const [clientVersion, code] of [
      ["5.0.2", "BAD_REQUEST"],
      ["5.0.3", "ILLEGAL_POLLING_TIME"],
      ["5.2.1", "ILLEGAL_POLLING_TIME"],
      ["", "ILLEGAL_POLLING_TIME"],
    ] as const) {
      const wish = { ...none, requestedMs: 20_000, remainingMs: 3_000, clientVersion };
      assert.throws(() => pollingTimeMs(wish), { code });
    }
  });
});
