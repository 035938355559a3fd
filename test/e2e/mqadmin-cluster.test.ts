// The commands for clusters as an operator types them, against two masters without slaves.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mqadmin, mqadminJson, type Outcome } from "./mqadmin-run.ts";
import { ProgramProcess, run, stopAll } from "./program-process.ts";
import { until } from "./waiting.ts";

const cluster = ["-c", "DefaultCluster"];

interface Listed {
  readonly name: string;
  readonly role: string;
  readonly inSync: boolean | null;
  readonly behindBytes: number | null;
}

describe("mqadmin for clusters", function () {
  this.timeout(60_000);
  let folder = "";
  let nameServer = "";
  let second: ProgramProcess;
  const addresses: Record<string, string> = {};

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "mqadmin-cluster-"));
    const names = run("mqnamesrv", "--port", "0", "--metrics-port", "0");
    nameServer = (await names.ready())["namesrv"] ?? "";
    await startBroker("broker-a");
    second = await startBroker("broker-b");
    await registered(2);
  });
  after(async () => {
    await stopAll();
    await rm(folder, { recursive: true, force: true });
  });

  async function startBroker(name: string): Promise<ProgramProcess> {
    const ports = ["--grpc-port", "0", "--metrics-port", "0", "--haListenPort", "0"];
    const data = ["--data", join(folder, name)];
    const broker = run("mqbroker", "-n", nameServer, "--brokerName", name, ...ports, ...data);
    addresses[name] = (await broker.ready())["grpc"] ?? "";
    return broker;
  }

  function json<T>(...args: string[]): Promise<T> {
    return mqadminJson<T>(nameServer, ...args);
  }

  function typed(...args: string[]): Promise<Outcome> {
    return mqadmin(...args, "-n", nameServer);
  }

  async function refused(code: number, pattern: RegExp, ...args: string[]): Promise<Outcome> {
    const outcome = await typed(...args);
    assert.equal(outcome.code, code, `${args.join(" ")}: ${outcome.stdout}${outcome.stderr}`);
    assert.match(outcome.stderr, pattern);
    return outcome;
  }

  async function registered(count: number): Promise<void> {
    await until("registration", async () => {
      const { code, stdout } = await typed("clusterList", "--json");
      return code === 0 && (JSON.parse(stdout) as unknown[]).length === count;
    });
  }

  /** Runs `act` while broker-b does not answer. */
  async function whileSecondIsSilent(act: () => Promise<void>): Promise<void> {
    second.child.kill("SIGSTOP");
    try {
      await act();
    } finally {
      second.child.kill("SIGCONT");
    }
    await until("broker-b is back", async () => {
      const { code } = await mqadmin("brokerStatus", "-b", addresses["broker-b"] ?? "");
      return code === 0;
    });
    await registered(2);
  }

  it("clusterList shows the role of each, and says who does not answer", async () => {
    const brokers = await json<Listed[]>("clusterList");
    assert.deepEqual(
      brokers.map(({ name, role, inSync, behindBytes }) => [name, role, inSync, behindBytes]),
      [
        ["broker-a", "master", true, 0],
        ["broker-b", "master", true, 0],
      ],
    );
    await whileSecondIsSilent(async () => {
      const { code, stdout } = await typed("clusterList", "--timeout", "700");
      assert.equal(code, 0);
      assert.match(stdout, /broker-b id 0: .* did not answer in time/);
      assert.match(stdout, /DefaultCluster +broker-a +0 +master/);
    });
  });

  it("haStatus shows lone masters, of a cluster or one", async () => {
    const all = await json<{ broker: string; standing: string; slaves: unknown[] }[]>(
      "haStatus",
      ...cluster,
    );
    assert.deepEqual(
      all.map(({ broker, standing, slaves }) => [broker, standing, slaves.length]),
      [
        ["broker-a", "master", 0],
        ["broker-b", "master", 0],
      ],
    );
    const one = await typed("haStatus", "-b", addresses["broker-a"] ?? "");
    assert.match(
      one.stdout,
      /^broker-a id 0 at .*: master, epoch 1, log 0 to \d+, confirmed \d+$/m,
    );
    assert.match(one.stdout, /nobody copies it/);
    await refused(
      1,
      /no broker is registered in cluster Elsewhere. Clusters: DefaultCluster/,
      ...["haStatus", "-c", "Elsewhere"],
    );
    await refused(2, /not both/, "haStatus", ...cluster, "-b", addresses["broker-a"] ?? "");
    await refused(2, /--brokerAddr must be HOST:PORT/, "haStatus", "-b", "here");
  });

  it("haStatus of a cluster tells what it knows when one broker is silent, with exit code 1", async () => {
    await whileSecondIsSilent(async () => {
      const args = ["haStatus", ...cluster, "--timeout", "700"];
      const { stdout } = await refused(1, /did not answer in time/, ...args);
      assert.match(stdout, /broker-a id 0/);
      assert.doesNotMatch(stdout, /broker-b/);
    });
  });

  it("repeats with -i until it is ended", async () => {
    const watch = run("mqadmin", "haStatus", "-b", addresses["broker-a"] ?? "", "-i", "1");
    await until("two answers", () => (watch.stdout.match(/broker-a id 0/g) ?? []).length >= 2);
    const ended = await watch.stop("SIGINT");
    assert.equal(ended.stderr, "");
    await refused(2, /--interval must be a whole number from 1/, "haStatus", "-i", "0");
  });

  it("commands for elections say that the roles are fixed", async () => {
    const address = addresses["broker-a"] ?? "";
    for (const where of [["-a", address], ["-b", "broker-a"], cluster]) {
      await refused(
        1,
        /roles of broker-a are fixed.*enableControllerMode/,
        "getSyncStateSet",
        ...where,
      );
    }
    await refused(1, /roles of broker-. are fixed/, "getControllerMetaData");
    await refused(1, /roles of broker-a are fixed/, "getControllerMetaData", "-a", address);
    for (const name of [["-bn", "broker-a"], ["-bn=broker-a"], ["--brokerName", "broker-a"]]) {
      await refused(1, /roles of broker-a are fixed/, "electMaster", "-b", "2", ...name);
    }
    await refused(
      1,
      /no broker of broker-z is registered. Registered: broker-a, broker-b/,
      ...["electMaster", "-b", "2", "-bn", "broker-z"],
    );
    await refused(2, /required argument: brokerName/, "electMaster", "-b", "2");
    await refused(
      2,
      /--brokerId must be a whole number from 1/,
      ...["electMaster", "-b", "0", "-bn", "broker-a"],
    );
    await refused(2, /--controllerAddress must be HOST:PORT/, "getControllerMetaData", "-a", "x");
  });

  it("changes all masters of a cluster, and reports each when one fails", async () => {
    const done = await json<{ broker: string; created: boolean }[]>(
      ...(["updateTopic", ...cluster, "-t", "wide", "-r", "2", "-w", "2"] as const),
    );
    assert.deepEqual(
      done.map(({ broker, created }) => [broker, created]),
      [
        ["broker-a", true],
        ["broker-b", true],
      ],
    );
    await whileSecondIsSilent(async () => {
      for (const [command, flag] of [
        ["updateTopic", "-t"],
        ["updateSubGroup", "-g"],
      ] as const) {
        const args = [command, ...cluster, flag, "half", "--timeout", "700", "--json"];
        const { stdout } = await refused(
          1,
          /not done on 1 of 2 masters:\n {2}broker-b: .* did not answer in time\nDone on: broker-a\. /,
          ...args,
        );
        const report = JSON.parse(stdout) as {
          done: { broker: string }[];
          failed: { broker: string }[];
        };
        assert.deepEqual(
          report.done.map(({ broker }) => broker),
          ["broker-a"],
        );
        assert.deepEqual(
          report.failed.map(({ broker }) => broker),
          ["broker-b"],
        );
      }
    });
    await json("updateTopic", ...cluster, "-t", "half");
    const topics = await json<{ name: string; broker: string }[]>("topicList");
    const holders = topics.filter(({ name }) => name === "half").map(({ broker }) => broker);
    assert.deepEqual(holders.toSorted(), ["broker-a", "broker-b"]);
  });

  it("reports a refusal of all masters by each", async () => {
    const args = ["updateTopic", ...cluster, "-t", "bad name"];
    const { stderr } = await refused(1, /not done on 2 of 2 masters/, ...args);
    assert.match(stderr, /broker-a: .*bad name[\s\S]*broker-b: .*bad name[\s\S]*Done on: none/);
  });

  it("wipeWritePerm takes a broker out of the sending, addWritePerm puts it back", async () => {
    const permission = async (name: string): Promise<string | undefined> => {
      const args = ["getBrokerConfig", "-b", addresses[name] ?? "", "-k", "brokerPermission"];
      return (await json<{ value: string }[]>(...args))[0]?.value;
    };
    const a = ["-b", addresses["broker-a"] ?? ""];
    await json("updateTopic", ...a, "-t", "writable");
    await json("updateTopic", ...a, "-t", "readable", "-p", "4");
    const topics = await json<{ perm: number }[]>("topicList", ...a);
    const writable = topics.filter(({ perm }) => (perm & 2) !== 0).length;
    const wiped = await typed("wipeWritePerm", "-b", "broker-a");
    assert.equal(wiped.code, 0, wiped.stderr);
    assert.match(wiped.stdout, new RegExp(`takes no messages now: ${writable} topics became`));
    assert.deepEqual([await permission("broker-a"), await permission("broker-b")], ["4", "6"]);
    const again = await json<{ changed: boolean; topics: number }>(
      "wipeWritePerm",
      "-b",
      "broker-a",
    );
    assert.deepEqual([again.changed, again.topics], [false, 0]);
    const back = await json<{ permission: number; topics: number }>(
      "addWritePerm",
      "-b",
      "broker-a",
    );
    assert.deepEqual([back.permission, back.topics], [6, writable]);
    assert.equal(await permission("broker-a"), "6");
    await refused(
      1,
      /no broker of the name broker-z .* Registered: broker-a, broker-b/,
      ...["wipeWritePerm", "-b", "broker-z"],
    );
    await refused(2, /required argument: brokerName/, "addWritePerm");
  });

  it("every command has help with its flags", async () => {
    for (const [command, flag] of [
      ["haStatus", "--interval"],
      ["getSyncStateSet", "--controllerAddress"],
      ["getControllerMetaData", "--controllerAddress"],
      ["electMaster", "--brokerName"],
      ["wipeWritePerm", "--brokerName"],
      ["addWritePerm", "--brokerName"],
      ["exportMetadata", "--specialTopic"],
      ["importMetadata", "--filePath"],
    ] as const) {
      const { code, stdout } = await mqadmin(command, "--help");
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`${flag}\\b`), command);
    }
  });

  describe("exportMetadata and importMetadata", () => {
    const path = (name: string): string => join(folder, name);
    let third: string[];

    before(async () => {
      await startBroker("broker-c");
      await registered(3);
      third = ["-b", addresses["broker-c"] ?? ""];
      const a = ["-b", addresses["broker-a"] ?? ""];
      const policy = {
        type: "EXPONENTIAL",
        exponentialRetryPolicy: { initial: 1500, max: 9000, multiplier: 3 },
      };
      await json(
        "updateTopic",
        ...a,
        "-t",
        "moved",
        "-r",
        "3",
        "-w",
        "2",
        "-p",
        "6",
        "-o",
        "true",
        "-a",
        "+message.type=FIFO,+queue.type=SimpleCQ",
      );
      await json("updateTopic", ...a, "-t", "%DLQ%movers");
      await json(
        "updateSubGroup",
        ...a,
        "-g",
        "movers",
        "-o",
        "true",
        "-r",
        "5",
        "-p",
        JSON.stringify(policy),
        "-a",
        "+consume.from=first",
      );
    });

    async function imported(...args: string[]): Promise<Readonly<Record<string, string>>> {
      const [one] = await json<{ entries: { kind: string; name: string; result: string }[] }[]>(
        "importMetadata",
        ...args,
      );
      return Object.fromEntries(
        (one?.entries ?? []).map(({ kind, name, result }) => [`${kind} ${name}`, result]),
      );
    }

    it("bring topics and groups to a new master as they were, and change nothing when repeated", async () => {
      const file = path("a.json");
      const a = ["-b", addresses["broker-a"] ?? ""];
      const written = await typed("exportMetadata", ...a, "-f", file);
      assert.match(written.stdout, /\d+ topics and \d+ groups of .* written to /);
      const { version, topics } = JSON.parse(await readFile(file, "utf8")) as {
        version: number;
        topics: { name: string }[];
      };
      assert.equal(version, 1);
      assert.ok(!topics.some(({ name }) => name.startsWith("%DLQ%")));
      const first = await imported(...third, "-f", file);
      assert.deepEqual([first["topic moved"], first["group movers"]], ["created", "created"]);
      const again = await imported(...third, "-f", file);
      assert.deepEqual(new Set(Object.values(again)), new Set(["left"]));
      const copy = path("c.json");
      await json("exportMetadata", ...third, "-f", copy);
      const parts = async (name: string): Promise<unknown> => {
        const { topics, groups } = JSON.parse(await readFile(name, "utf8")) as Record<
          string,
          unknown
        >;
        return { topics, groups };
      };
      assert.deepEqual(await parts(copy), await parts(file));
    });

    it("change what differs, and say which fields", async () => {
      const file = path("a.json");
      await json("updateTopic", ...third, "-t", "moved", "-r", "8", "-a", "+cleanup.policy=DELETE");
      await json("updateSubGroup", ...third, "-g", "movers", "-r", "1");
      const { stdout, stderr } = await typed("importMetadata", ...third, "-f", file);
      assert.match(stdout, /topic +moved +changed +readQueues, attributes/, stderr);
      assert.match(stdout, /group +movers +changed +retryMaxTimes/);
      assert.match(stdout, /0 created, 2 changed, \d+ left, 0 failed/);
      const topics = await json<{ name: string; readQueues: number; attributes: object }[]>(
        "topicList",
        ...third,
      );
      const moved = topics.find(({ name }) => name === "moved");
      assert.equal(moved?.readQueues, 3);
      assert.ok(!("cleanup.policy" in (moved?.attributes ?? {})));
    });

    it("take only topics, only groups, or the system's too", async () => {
      const a = ["-b", addresses["broker-a"] ?? ""];
      type Written = { topics: { name: string }[]; groups: { name: string }[] };
      const topics = await json<Written>("exportMetadata", ...a, "-t");
      assert.ok(topics.topics.length > 0 && topics.groups.length === 0);
      const groups = await json<Written>("exportMetadata", ...a, "-g");
      assert.ok(groups.topics.length === 0 && groups.groups.length > 0);
      const all = await json<Written>("exportMetadata", ...a, "-s");
      assert.ok(all.topics.some(({ name }) => name === "%DLQ%movers"));
      assert.ok(all.groups.some(({ name }) => name === "movers"));
      await writeFile(path("all.json"), JSON.stringify(all));
      const without = await imported(...third, "-f", path("all.json"));
      assert.ok(!("topic %DLQ%movers" in without));
      const only = await imported(...third, "-f", path("all.json"), "-t", "-s");
      assert.equal(only["topic %DLQ%movers"], "created");
      assert.ok(!("group movers" in only));
    });

    it("say where masters of a cluster differ", async () => {
      await json("updateTopic", "-b", addresses["broker-b"] ?? "", "-t", "moved", "-r", "1");
      const { differences } = await json<{ differences: string[] }>("exportMetadata", ...cluster);
      assert.ok(
        differences.some((text) =>
          /topic moved is not the same on broker-a and broker-b/.test(text),
        ),
      );
    });

    it("import what can be, and name what cannot, with exit code 1", async () => {
      const file = path("a.json");
      const good = JSON.parse(await readFile(file, "utf8")) as { topics: object[] };
      const bad = { ...good.topics[0], name: "bad name" };
      const fine = { ...good.topics[0], name: "fine" };
      await writeFile(
        path("half.json"),
        JSON.stringify({ ...good, topics: [bad, fine], groups: [] }),
      );
      const { stdout } = await refused(
        1,
        /broker-c|topic bad name/,
        ...["importMetadata", ...third, "-f", path("half.json")],
      );
      assert.match(stdout, /topic +bad name +failed/);
      assert.match(stdout, /topic +fine +created/);
    });

    it("refuse a file that is not theirs", async () => {
      const good = JSON.parse(await readFile(path("a.json"), "utf8")) as { topics: object[] };
      const texts: readonly (readonly [string, RegExp])[] = [
        ["not json", /is no JSON/],
        ["[]", /has no "format": "cometmq-metadata"/],
        [JSON.stringify({ ...good, version: 99 }), /version 99; this mqadmin reads up to 1/],
        [JSON.stringify({ ...good, version: "1" }), /has no version/],
        [JSON.stringify({ ...good, topics: 1 }), /has no list in topics/],
        [JSON.stringify({ ...good, topics: [1] }), /no object at place 0 in topics/],
        [
          JSON.stringify({ ...good, topics: [{ ...good.topics[0], perm: "6" }] }),
          /a perm that is no number/,
        ],
        [
          JSON.stringify({ ...good, topics: [{ ...good.topics[0], attributes: { a: 1 } }] }),
          /attributes that are not all text/,
        ],
        [JSON.stringify({ ...good, topics: [good.topics[0], good.topics[0]] }), /twice in topics/],
      ];
      for (const [text, pattern] of texts) {
        await writeFile(path("bad.json"), text);
        await refused(1, pattern, "importMetadata", ...third, "-f", path("bad.json"));
      }
      await refused(
        1,
        /cannot read the file.*nowhere/,
        "importMetadata",
        ...third,
        "-f",
        "/nowhere/x.json",
      );
      await refused(
        1,
        /cannot write the file.*nowhere/,
        "exportMetadata",
        ...third,
        "-f",
        "/nowhere/x.json",
      );
      await refused(2, /say for whom/, "importMetadata", "-f", path("a.json"));
    });
  });
});
