import assert from "node:assert/strict";
import { type StandaloneConfig, standaloneRole } from "../base/index.ts";
import { type CommandLine, helpText, parseCommandLine, UsageError } from "./command-line.ts";

const command: CommandLine<StandaloneConfig> = {
  name: "program",
  usage: ["[--data DIR]", "[-n HOST:PORT]"],
  summary: "Does it.",
  role: standaloneRole,
  shortcuts: { data: "storePathRootDir", n: "namesrvAddr", "grpc-port": "grpcServerPort" },
  readyAddresses: ["grpc"],
};

function flags(...argv: string[]): Readonly<Record<string, string>> {
  const request = parseCommandLine(command, argv);
  assert.equal(request.kind, "run");
  return request.flags;
}

function refusal(...argv: string[]): string {
  let message = "";
  assert.throws(
    () => parseCommandLine(command, argv),
    (error) => {
      message = error instanceof Error ? error.message : "";
      return error instanceof UsageError;
    },
  );
  return message;
}

describe("command line", () => {
  it("takes keys of the table and their short names", () => {
    assert.deepEqual(
      flags(
        "--data",
        "d",
        "-n",
        "a:1;b:2",
        "--grpc-port=0",
        "--brokerName",
        "x",
        "--tls.server.mode",
        "disabled",
      ),
      {
        storePathRootDir: "d",
        namesrvAddr: "a:1;b:2",
        grpcServerPort: "0",
        brokerName: "x",
        "tls.server.mode": "disabled",
      },
    );
    assert.deepEqual(flags(), {});
  });

  it("takes booleans with and without a value", () => {
    assert.deepEqual(flags("--ephemeral"), { ephemeral: "true" });
    assert.deepEqual(flags("--ephemeral", "--grpc-port", "1"), {
      ephemeral: "true",
      grpcServerPort: "1",
    });
    assert.deepEqual(flags("--ephemeral", "false"), { ephemeral: "false" });
    assert.deepEqual(flags("--ephemeral=false"), { ephemeral: "false" });
  });

  it("names the configuration file, help, version, printing", () => {
    const request = parseCommandLine(command, ["-c", "f.conf", "-p"]);
    assert.deepEqual(request, { kind: "print", flags: {}, configFile: "f.conf" });
    assert.deepEqual(parseCommandLine(command, ["--help", "--nonsense=1"].slice(0, 1)), {
      kind: "help",
    });
    assert.deepEqual(parseCommandLine(command, ["-v"]), { kind: "version" });
  });

  it("refuses what it does not know, in one line", () => {
    assert.equal(refusal("--nonsense"), "unknown flag --nonsense");
    assert.equal(refusal("--nonsense=1"), "unknown flag --nonsense");
    assert.equal(refusal("-x"), "unknown flag -x");
    assert.equal(refusal("word"), "unexpected argument word");
    assert.match(refusal("--brokerName"), /argument missing/);
    assert.match(refusal("--data", "a", "--storePathRootDir", "b"), /are the same; give one/);
  });

  it("prints help for every key, in lines that fit", () => {
    const text = helpText(command);
    for (const key of Object.keys(standaloneRole.keys)) assert.ok(text.includes(`--${key}`), key);
    assert.match(text, /^Usage: program \[--data DIR\]\n {7}program \[-n HOST:PORT\]$/m);
    assert.match(text, /^ {2}--data, --storePathRootDir$/m);
    assert.match(text, /^ {2}ready grpc=HOST:PORT pid=PID$/m);
    for (const line of text.split("\n")) assert.ok(line.length <= 100, line);
  });
});
