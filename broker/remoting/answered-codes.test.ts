// Every code of the protocol: a request that is answered with it, or a row in docs/errors.md that says why none is.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { rocketmq } from "@cometmq/proto";
import { errorTable } from "../../base/index.ts";
import { answeredCases, answeredCodes, TestBroker, TestClient } from "./testkit/index.ts";

const { Code } = rocketmq.v2;

/** Failures of the table that no client gets as a status: of brokers among themselves, and of calls that end without one. */
const unseen: readonly string[] = ["NOT_IMPLEMENTED", "REQUEST_TIMEOUT", "UNAUTHORIZED"];

/** Codes in the table of docs/errors.md that no client gets. */
function documentedNever(): readonly string[] {
  const text = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const [, section = ""] = text.split("## Codes that are never answered");
  return [...section.matchAll(/^\| `([A-Z_]+)` \| \d+ \| \S.* \|$/gm)].map(
    (match) => match[1] ?? "",
  );
}

describe("codes of the protocol", () => {
  for (const [name, { says, ask, flags = {} }] of answeredCases()) {
    it(`${name} is the answer: ${says}`, async () => {
      const broker = new TestBroker({ flags });
      const { code, message } = await ask({ broker, client: new TestClient(broker) });
      assert.equal(Code[code], name, message);
      if (typeof says === "string") assert.ok(message.includes(says), message);
      else assert.match(message, says);
    });
  }

  it("are answered, or named as never answered, each of them", () => {
    const all = Object.keys(Code).filter((name) => name !== "CODE_UNSPECIFIED");
    assert.deepEqual(
      [...Object.keys(answeredCodes), ...documentedNever()].toSorted(),
      all.toSorted(),
    );
  });

  it("are answered as far as a failure of the broker has them", () => {
    const statuses = Object.values(errorTable).map(({ status }) => String(Code[status]));
    const possible = new Set<string>([...statuses, "OK", "MULTIPLE_RESULTS"]);
    assert.deepEqual(new Set<string>([...Object.keys(answeredCodes), ...unseen]), possible);
  });
});
