import assert from "node:assert/strict";
import { ClientError, type ClientErrorCode } from "./client-error.ts";
import { defaultSendPolicy } from "./retry-policy.ts";
import { type FailureKind, failureKind, SendAttempts } from "./send-attempts.ts";

function error(code: ClientErrorCode, stored = false): ClientError {
  return new ClientError(code, "x", { stored });
}

function attemptsOf(max: number): SendAttempts {
  return new SendAttempts({ max, turn: 0 });
}

describe("attempts of a send", () => {
  it("know what a failure says about the message", () => {
    const kinds: [ClientError, FailureKind][] = [
      [error("UNREACHABLE"), "free"],
      [error("HA_NOT_AVAILABLE"), "free"],
      [error("HA_NOT_AVAILABLE", true), "elsewhere"],
      [error("SLAVE_PERSISTENCE_TIMEOUT", true), "elsewhere"],
      [error("FORBIDDEN"), "elsewhere"],
      [error("TIMEOUT"), "costly"],
      [error("INTERNAL_SERVER_ERROR"), "costly"],
      [error("MASTER_PERSISTENCE_TIMEOUT"), "costly"],
      [error("MESSAGE_BODY_TOO_LARGE"), "final"],
      [error("UNAUTHORIZED"), "final"],
    ];
    for (const [one, kind] of kinds) assert.equal(failureKind(one), kind, one.code);
  });

  it("spend none of the budget while nobody is there, and wait a little longer each time", () => {
    const attempts = attemptsOf(1);
    const delays = [1, 2, 3, 4, 5, 6, 7].map(() => {
      assert.ok(attempts.goesOn(error("UNREACHABLE"), false));
      return attempts.delayMs(error("UNREACHABLE"), false, defaultSendPolicy);
    });
    assert.deepEqual(delays, [10, 20, 40, 80, 160, 200, 200]);
    assert.equal(attempts.delayMs(error("UNREACHABLE"), true, defaultSendPolicy), 0);
    assert.ok(!attempts.goesOn(error("TIMEOUT"), true), "the one attempt is spent");
  });

  it("end when the budget is spent, at once when no broker can help", () => {
    const attempts = attemptsOf(3);
    assert.ok(attempts.goesOn(error("TIMEOUT"), false));
    assert.ok(attempts.goesOn(error("INTERNAL_SERVER_ERROR"), false));
    assert.ok(!attempts.goesOn(error("TIMEOUT"), false));
    assert.ok(!attemptsOf(3).goesOn(error("ILLEGAL_TOPIC"), true));
    assert.ok(!attemptsOf(3).goesOn(error("HA_NOT_AVAILABLE", true), false));
    assert.ok(attemptsOf(3).goesOn(error("HA_NOT_AVAILABLE", true), true));
  });

  it("give a server in trouble time to hand over, and do as told when there are too many requests", () => {
    const attempts = attemptsOf(4);
    const trouble = error("INTERNAL_SERVER_ERROR");
    const delays = [1, 2].map(() => {
      attempts.goesOn(trouble, false);
      return attempts.delayMs(trouble, false, defaultSendPolicy);
    });
    assert.deepEqual(delays, [200, 800]);
    const busy = error("TOO_MANY_REQUESTS");
    attempts.goesOn(busy, true);
    assert.equal(attempts.delayMs(busy, true, defaultSendPolicy), 40);
  });
});
