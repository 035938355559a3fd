import assert from "node:assert/strict";
import type { FlagSpec } from "./command.ts";
import { readCommand, readFlags } from "./command-line.ts";
import { commands } from "./commands/index.ts";
import { UsageFailure } from "./failure.ts";
import { commandHelp, completionScript, programHelp } from "./help.ts";

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

function read(...args: string[]) {
  return readFlags(args, { flags }, globals);
}

describe("mqadmin command line", () => {
  it("finds the command wherever it stands", () => {
    const args = ["-n", "host:1", "topicList", "-x"];
    const rest = ["-n", "host:1", "-x"];
    assert.deepEqual(readCommand(args, names), { kind: "run", command: "topicList", args: rest });
  });

  it("gives help in RocketMQ's way and in the usual one", () => {
    const help = { kind: "help", command: "topicList" };
    for (const args of [
      ["help", "topicList"],
      ["topicList", "-h"],
      ["topicList", "--help"],
    ]) {
      assert.deepEqual(readCommand(args, names), help);
    }
    assert.deepEqual(readCommand(["help"], names), { kind: "help", command: undefined });
  });

  it("suggests the command that was probably meant", () => {
    const wrong =
      (...args: string[]) =>
      () =>
        readCommand(args, names);
    assert.throws(wrong("topicLst"), /Unknown argument: topicLst\. Did you mean topicList\?/);
    assert.throws(wrong("resenddlq"), /Did you mean resendDLQ/);
    assert.throws(wrong("nope"), /Unknown argument: nope$/);
    assert.throws(wrong("help", "nope"), /Unknown argument: nope$/);
    assert.throws(wrong(), /Name a command/);
  });

  it("reads flags with one dash, also of two letters, two dashes, and an equals sign", () => {
    const found = read("-bn", "b", "--topic=t", "-n=h:1", "-f");
    assert.equal(found.text("brokerName"), "b");
    assert.equal(found.text("topic"), "t");
    assert.equal(found.text("namesrvAddr"), "h:1");
    assert.equal(found.bool("force"), true);
    assert.equal(read("-t", "x", "-f", "false").bool("force"), false);
  });

  it("takes a value that begins with a dash, unless it is a flag of the command", () => {
    assert.equal(read("-t", "x", "-a", "-consume.from").text("attributes"), "-consume.from");
    assert.throws(() => read("-a", "-t", "x"), /Not enough arguments following: a/);
    assert.throws(() => read("-t"), /Not enough arguments following: t/);
  });

  it("keeps what was given more than once", () => {
    const found = read("-t", "x", "-a", "1", "--attributes", "2");
    assert.deepEqual(found.texts("attributes"), ["1", "2"]);
    assert.throws(() => found.text("attributes"), /more than once/);
  });

  it("refuses what the command has not, and says what is missing", () => {
    assert.throws(() => read("-t", "x", "-z"), /Unknown argument: z$/);
    assert.throws(() => read("-t", "x", "--atributes", "y"), /Did you mean --attributes/);
    assert.throws(() => read("-t", "x", "extra"), /Unknown argument: extra$/);
    assert.throws(() => read("-f"), UsageFailure);
    assert.throws(() => read("-f"), /Missing required argument: topic/);
  });

  it("has every command under its own name, with flags that do not collide, in the help and the completion", async () => {
    const all = await Promise.all(Object.values(commands).map((load) => load()));
    assert.deepEqual(
      all.map(({ name }) => name),
      Object.keys(commands),
    );
    const help = programHelp(all, globals);
    const script = completionScript(all, globals);
    for (const command of all) {
      const shorts = Object.values(command.flags).flatMap(({ short }) => short ?? []);
      assert.equal(new Set(shorts).size, shorts.length, `${command.name}: ${shorts.join(" ")}`);
      assert.ok(!shorts.includes("n") && !shorts.includes("h"), command.name);
      assert.ok(help.includes(command.summary.slice(0, 20)), command.name);
      assert.ok(script.includes(` ${command.name} `), command.name);
      for (const flag of Object.keys(command.flags)) {
        assert.ok(commandHelp(command, globals).includes(`--${flag}`), `${command.name} ${flag}`);
      }
    }
  });
});
