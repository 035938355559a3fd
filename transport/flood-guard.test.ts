import assert from "node:assert/strict";
import { transportLimits } from "../base/index.ts";
import { FloodGuard } from "./flood-guard.ts";
import { ConnectionError, ErrorCode } from "./http2.ts";

const limits = { ...transportLimits, pingCountMax: 3, settingsCountMax: 1, floodWindowMs: 1000 };

describe("FloodGuard", () => {
  it("ends the connection at the frame above the limit", () => {
    const guard = new FloodGuard(limits);
    for (let count = 0; count < 3; count += 1) guard.count("pingCountMax", 0, 0);
    assert.throws(
      () => guard.count("pingCountMax", 999, 0),
      (error) => error instanceof ConnectionError && error.code === ErrorCode.enhanceYourCalm,
    );
  });

  it("counts each kind for itself and begins anew with each window", () => {
    const guard = new FloodGuard(limits);
    assert.equal(guard.count("settingsCountMax", 0, 0), true);
    assert.equal(guard.count("pingCountMax", 1, 0), false);
    assert.equal(guard.count("settingsCountMax", 1000, 0), true);
  });

  it("allows more when our own frames justify it", () => {
    const guard = new FloodGuard(limits);
    for (let count = 0; count < 10; count += 1) guard.count("pingCountMax", 0, 7);
    assert.throws(() => guard.count("pingCountMax", 0, 7));
  });
});
