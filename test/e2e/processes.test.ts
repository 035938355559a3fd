// The programs as people run them: flags, the ready line, signals, a folder in use, and NameServers that come and go.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { connect } from "node:http2";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { nameServerService } from "@cometmq/proto";
import { ProgramProcess, run, stopAll } from "./program-process.ts";
import { RawClient } from "./raw-client.ts";
import { receive, route, send } from "./sending.ts";
import { until } from "./waiting.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const ok = 20_000;
const freePorts = ["--grpc-port", "0", "--namesrv-port", "0", "--metrics-port", "0"];

function mqnamesrv(port = "0"): ProgramProcess {
  return run("mqnamesrv", "--port", port, "--metrics-port", "0");
}

async function mqadmin(...args: string[]): Promise<string> {
  return (await promisify(execFile)(join(root, "bin/mqadmin"), args)).stdout;
}

async function brokers(nameServer: RawClient): Promise<string[]> {
  const list = await nameServer.call(nameServerService.methods.ClusterList, {});
  return list.brokers.map(({ brokerName }) => brokerName);
}

describe("processes", function () {
  this.timeout(60_000);
  let folder: string;
  let brokerCount = 0;
  const clients: RawClient[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "processes-"));
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await stopAll();
    await rm(folder, { recursive: true, force: true });
  });

  function client(address: string | undefined): RawClient {
    const raw = new RawClient(address ?? "");
    clients.push(raw);
    return raw;
  }

  function cometmq(...args: string[]): ProgramProcess {
    return run("cometmq", "--data", join(folder, "data"), ...freePorts, ...args);
  }

  function mqbroker(name: string, nameServers: string, ...args: string[]): ProgramProcess {
    const ports = ["--grpc-port", "0", "--haListenPort", "0", "--metrics-port", "0"];
    brokerCount += 1;
    const data = ["--data", join(folder, `broker-${brokerCount}`)];
    return run("mqbroker", "-n", nameServers, "--brokerName", name, ...ports, ...data, ...args);
  }

  describe("command lines", () => {
    for (const name of ["cometmq", "mqbroker", "mqnamesrv"]) {
      it(`${name} has --help, --version, -p, and refuses what it does not know`, async () => {
        const [help, version, print, unknown, value, file] = await Promise.all(
          [
            ["--help"],
            ["--version"],
            ["-p", "--logLevel", "debug"],
            ["--nonsense"],
            ["--logLevel", "loud"],
            ["-c", "/nowhere/x.conf"],
          ].map((args) => run(name, ...args).ended),
        );
        assert.equal(help?.code, 0);
        assert.match(help?.stdout ?? "", new RegExp(`^Usage: ${name} `));
        assert.deepEqual([version?.code, version?.stdout], [0, `${name} 0.1.0\n`]);
        assert.equal(print?.code, 0);
        assert.match(print?.stdout ?? "", /^logLevel = debug$/m);
        assert.equal(unknown?.code, 2);
        assert.equal(unknown?.stderr, `${name}: unknown flag --nonsense; see ${name} --help\n`);
        assert.equal(value?.code, 2);
        assert.match(value?.stderr ?? "", /logLevel = "loud" .* give error, warn, info, debug/);
        assert.equal(file?.code, 2);
        assert.match(file?.stderr ?? "", /cannot read the configuration file.*\/nowhere\/x\.conf/);
      });

      it(`${name} says what to do when nothing is built`, async () => {
        await mkdir(join(folder, "bin"));
        await cp(join(root, "bin", name), join(folder, "bin", name));
        await writeFile(join(folder, "package.json"), '{"type":"module"}');
        const { code, stderr } = await new ProgramProcess(join(folder, "bin", name), []).ended;
        assert.equal(code, 1);
        assert.equal(stderr, `${name}: not built yet: run \`npm run build\` first\n`);
      });
    }
  });

  describe("cometmq", () => {
    it("takes messages as soon as it says so, keeps them, and stops with 0", async () => {
      const first = cometmq();
      const { grpc, namesrv, metrics, pid } = await first.ready();
      assert.equal(pid, String(first.pid));
      assert.match(`${grpc} ${namesrv} ${metrics}`, /^(127\.0\.0\.1:[1-9]\d* ?){3}$/);
      assert.equal((await fetch(`http://${metrics}/readyz`)).status, 200);
      assert.equal(await route(client(grpc), "t"), ok);
      assert.equal(await route(client(namesrv), "t"), ok);
      assert.equal(await send(client(grpc), "t", "kept"), ok);
      const ended = await first.stop();
      assert.equal(ended.code, 0, ended.stderr);
      assert.match(ended.stderr, /LISTENING ON LOOPBACK ONLY/);
      const second = cometmq();
      assert.deepEqual(await receive(client((await second.ready())["grpc"]), "t", "g"), ["kept"]);
      assert.equal((await second.stop("SIGINT")).code, 0);
    });

    it("names three commands that work", async () => {
      const server = cometmq();
      await server.ready();
      await until("the commands", () => /consumeMessage.*\n/.test(server.stdout));
      const commands = [...server.stdout.matchAll(/^ {2}(\S*bin\/mqadmin .*)$/gm)];
      assert.equal(commands.length, 3, server.stdout);
      let last = "";
      for (const [, command] of commands) {
        const shell = await promisify(execFile)("/bin/sh", ["-c", command ?? ""], { cwd: root });
        last = shell.stdout;
      }
      assert.match(last, /Hello, CometMQ/);
    });

    it("leaves nothing behind when it is ephemeral, even when ended at once", async () => {
      const temporary = { ...process.env, TMPDIR: folder };
      const start = (): ProgramProcess =>
        new ProgramProcess("/usr/bin/env", [
          `TMPDIR=${temporary.TMPDIR}`,
          join(root, "bin/cometmq"),
          "--ephemeral",
          ...freePorts,
        ]);
      const gentle = start();
      await gentle.ready();
      assert.equal((await readdir(folder)).length, 1);
      assert.equal((await gentle.stop()).code, 0);
      assert.deepEqual(await readdir(folder), []);
      const hasty = start();
      await hasty.ready();
      hasty.child.kill("SIGTERM");
      hasty.child.kill("SIGINT");
      await hasty.ended;
      assert.deepEqual(await readdir(folder), []);
    });

    it("refuses a folder in use, naming the process, and a port in use, naming the key", async () => {
      const first = cometmq();
      await first.ready();
      const second = await cometmq().ended;
      assert.equal(second.code, 1);
      assert.match(second.stderr, new RegExp(`cannot start: .*\\b${first.pid}\\b`));
      assert.equal(second.stdout, "");
      const taken = createServer();
      await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
      const address = taken.address();
      const port = typeof address === "object" && address !== null ? String(address.port) : "";
      for (const flag of ["grpc-port", "namesrv-port", "metrics-port"]) {
        const ports = freePorts.map((word, index) =>
          freePorts[index - 1] === `--${flag}` ? port : word,
        );
        const refused = await run("cometmq", "--ephemeral", ...ports).ended;
        assert.equal(refused.code, 1);
        assert.match(refused.stderr, new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}`));
        assert.match(refused.stderr, /choose another port/);
      }
      taken.close();
      const both = await cometmq("--ephemeral").ended;
      assert.equal(both.code, 2);
      assert.match(both.stderr, /exclude each other/);
    });

    it("ends held polls and answers sends in flight when it is told to stop, in under 5 s", async () => {
      const server = cometmq();
      const { grpc, metrics } = await server.ready();
      const sender = client(grpc);
      assert.equal(await route(sender, "t"), ok);
      const held = client(grpc).receive({
        group: { name: "g" },
        messageQueue: { topic: { name: "t" }, id: -1 },
        filterExpression: { type: 1, expression: "*" },
        batchSize: 1,
        invisibleDuration: { seconds: 60 },
        longPollingTimeout: { seconds: 20 },
      });
      await until("the held poll", async () => {
        const text = await (await fetch(`http://${metrics}/metrics`)).text();
        return /^cometmq_held_polls\{[^}]*\} 1$/m.test(text);
      });
      let acknowledged = 0;
      let isOver = false;
      const sending = (async () => {
        while (!isOver) {
          try {
            if ((await send(sender, "other", "x")) === ok) acknowledged += 1;
          } catch {
            isOver = true;
          }
        }
      })();
      assert.equal(await route(client(grpc), "other"), ok);
      await until("sends", () => acknowledged > 10);
      const beganMs = performance.now();
      const ended = await server.stop();
      assert.equal(ended.code, 0, ended.stderr);
      assert.ok(performance.now() - beganMs < 5_000);
      assert.deepEqual((await held.done).messages, []);
      isOver = true;
      await sending;
      const again = cometmq();
      const after = client((await again.ready())["grpc"]);
      let found = 0;
      while (found < acknowledged) {
        const bodies = await receive(after, "other", "counter");
        assert.ok(bodies.length > 0, `only ${found} of ${acknowledged}`);
        found += bodies.length;
      }
    });

    it("ends at once at the second signal", async () => {
      const server = cometmq();
      const { grpc } = await server.ready();
      // A call whose request never comes to its end keeps the drain waiting.
      const session = connect(`http://${grpc}`);
      session.on("error", () => {});
      const stalled = session.request({
        ":method": "POST",
        ":path": "/apache.rocketmq.v2.MessagingService/SendMessage",
        "content-type": "application/grpc",
        te: "trailers",
      });
      stalled.on("error", () => {});
      await new Promise<void>((resolve) => stalled.write(Buffer.from([0]), () => resolve()));
      await new Promise<void>((resolve) => session.ping(() => resolve()));
      server.child.kill("SIGTERM");
      await until("the first signal's effect", () => server.stderr.includes("stopping"));
      assert.equal(server.isOver, false);
      const beganMs = performance.now();
      server.child.kill("SIGTERM");
      const ended = await server.ended;
      assert.equal(ended.code, 143);
      assert.ok(performance.now() - beganMs < 1_000);
      session.destroy();
      const again = cometmq();
      await again.ready();
    });
  });

  it("a bug is logged once and ends the process with 1", async () => {
    const script = join(root, "test/e2e/crashing-program.ts");
    const args = ["--import", "tsx", script, "--metrics-port", "0"];
    const { code, stderr } = await new ProgramProcess(process.execPath, args).ended;
    assert.equal(code, 1);
    assert.equal(stderr.match(/the bug/g)?.length, 1, stderr);
  });

  describe("mqnamesrv and mqbroker", () => {
    it("start from RocketMQ's sample broker.conf, naming the keys without meaning", async () => {
      const file = join(folder, "broker.conf");
      await writeFile(
        file,
        "brokerClusterName = DefaultCluster\nbrokerName = broker-a\nbrokerId = 0\ndeleteWhen = 04\n" +
          "fileReservedTime = 48\nbrokerRole = ASYNC_MASTER\nflushDiskType = ASYNC_FLUSH\nlistenPort = 10911\n",
      );
      const ports = ["--grpc-port", "0", "--haListenPort", "0", "--metrics-port", "0"];
      const broker = run("mqbroker", "-c", file, ...ports, "--data", join(folder, "data"));
      await broker.ready();
      assert.match(broker.stderr, /broker\.conf:8: unknown key listenPort/);
      assert.match(broker.stderr, /NO NAMESERVER CONFIGURED/);
      assert.equal((await broker.stop()).code, 0);
    });

    it("serve a topic; a NameServer's restart and absence disturb no client", async () => {
      let nameServer = mqnamesrv();
      const { namesrv = "" } = await nameServer.ready();
      const broker = mqbroker("broker-a", namesrv);
      const { grpc, metrics } = await broker.ready();
      await until("registration", async () => (await brokers(client(namesrv))).length === 1);
      await mqadmin("updateTopic", "-n", namesrv, "-c", "DefaultCluster", "-t", "t");
      await until("the route", async () => (await route(client(namesrv), "t")) === ok);
      const sender = client(grpc);
      assert.equal(await send(sender, "t", "1"), ok);

      assert.equal((await nameServer.stop()).code, 0);
      assert.equal(await send(sender, "t", "2"), ok);
      await until("the log", () => broker.stderr.includes("not registered with NameServer"));
      const status = await mqadmin("brokerStatus", "-b", grpc ?? "", "--json");
      assert.match(status, /connecting/);
      const text = await (await fetch(`http://${metrics}/metrics`)).text();
      assert.match(text, /^cometmq_name_?server\w*\{.*\} 0$/m);

      nameServer = mqnamesrv(namesrv.split(":")[1]);
      await nameServer.ready();
      const beganMs = performance.now();
      const asking = client(namesrv);
      await until("registration again", async () => (await brokers(asking)).length === 1);
      assert.ok(performance.now() - beganMs < 2_000);
      assert.equal(await route(asking, "t"), ok);
      assert.equal(await send(sender, "t", "3"), ok);
      assert.equal((await broker.stop()).code, 0);
      await until("the broker is gone", async () => (await brokers(asking)).length === 0);
    });

    it("register with every NameServer; a killed broker is gone at once", async () => {
      const [one, two] = [mqnamesrv(), mqnamesrv()];
      const [first, second] = [(await one.ready())["namesrv"], (await two.ready())["namesrv"]];
      const onBoth = mqbroker("broker-a", `${first};${second}`);
      const onOne = mqbroker("broker-b", first ?? "");
      await Promise.all([onBoth.ready(), onOne.ready()]);
      const [askFirst, askSecond] = [client(first), client(second)];
      await until("both", async () => (await brokers(askFirst)).join() === "broker-a,broker-b");
      await until("one", async () => (await brokers(askSecond)).join() === "broker-a");
      onBoth.child.kill("SIGKILL");
      const beganMs = performance.now();
      await until("gone", async () => (await brokers(askSecond)).length === 0);
      assert.ok(performance.now() - beganMs < 2_000);
    });

    it("refuse a second master of one name, naming the first, and take it when that is gone", async () => {
      const nameServer = mqnamesrv();
      const { namesrv = "" } = await nameServer.ready();
      const first = mqbroker("broker-a", namesrv);
      const { ha } = await first.ready();
      await until("registration", async () => (await brokers(client(namesrv))).length === 1);
      const second = await mqbroker("broker-a", namesrv).ended;
      assert.equal(second.code, 1);
      assert.match(second.stderr, /cannot start: brokerName broker-a has a live master already/);
      assert.ok(second.stderr.includes(`replication at ${ha}`), second.stderr);
      await first.stop();
      const third = mqbroker("broker-a", namesrv);
      await third.ready();
      await until("registration", async () => (await brokers(client(namesrv))).length === 1);
      await third.stop();
    });
  });
});
