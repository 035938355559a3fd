import assert from "node:assert/strict";
import type { FlagSpec } from "./command.ts";
import { commandOf, withoutHelpWord, writtenOut } from "./command-line.ts";
import { commands } from "./commands/index.ts";

const names = ["topicList", "updateTopic", "resendDLQ"];
const globals: Record<string, FlagSpec> = {
  namesrvAddr: { short: "n", type: "string", value: "HOST:PORT", about: "NameServers" },
};
const flags: Record<string, FlagSpec> = {
  topic: { short: "t", type: "string", about: "topic", required: true },
  brokerName: { short: "bn", type: "string", about: "broker" },
  attributes: { short: "a", type: "string", about: "attributes" },
  force: { short: "f", type: "boolean", about: "force" },
};

const written = (...args: string[]): string[] => writtenOut(args, { flags }, globals);

describe("mqadmin command line", () => {
  it("finds the command wherever it stands", () => {
    assert.equal(commandOf(["-n", "host:1", "topicList", "-x"], names), "topicList");
    assert.equal(commandOf(["topicLst", "--help"], names), undefined);
  });

  it("gives help in RocketMQ's way", () => {
    assert.deepEqual(withoutHelpWord(["help", "topicList"]), ["topicList", "--help"]);
    assert.deepEqual(withoutHelpWord(["topicList", "-h"]), ["topicList", "-h"]);
  });

  it("writes flags of two letters and one dash out", () => {
    assert.deepEqual(written("-bn", "b", "--topic=t", "-n=h:1", "-f"), [
      ...["--brokerName", "b", "--topic=t", "--namesrvAddr=h:1", "--force"],
    ]);
  });

  it("takes a value that begins with a dash, unless it is a flag of the command", () => {
    assert.deepEqual(written("-a", "-consume.from", "-t", "x"), [
      ...["--attributes=-consume.from", "--topic", "x"],
    ]);
    assert.deepEqual(written("-a", "-t", "x"), ["--attributes", "--topic", "x"]);
    assert.deepEqual(written("-f", "-z"), ["--force", "-z"]);
  });

  it("has every command under its own name, with flags that do not collide", async () => {
    for (const [name, load] of Object.entries(commands)) {
      const command = await load();
      assert.equal(command.name, name);
      const shorts = Object.values(command.flags).flatMap(({ short }) => short ?? []);
      assert.equal(new Set(shorts).size, shorts.length, `${name}: ${shorts.join(" ")}`);
      assert.ok(!shorts.includes("n") && !shorts.includes("h"), name);
    }
  });
});
