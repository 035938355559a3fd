import assert from "node:assert/strict";
import { createServer } from "node:net";
import { parseCommandLine } from "./command-line.ts";
import { type DeploymentSet, readSet } from "./deployment-set.ts";
import { etcdLaunch, serverLaunch, shellText } from "./launch.ts";
import { setFolder } from "./places.ts";
import { planPorts } from "./port-plan.ts";

function shipped(name: string): DeploymentSet {
  return readSet(name, setFolder(name) ?? assert.fail(`no set ${name}`));
}

function launchOf(set: DeploymentSet, name: string, ports: ReadonlyMap<number, number>) {
  const plan = set.servers.find((one) => one.name === name) ?? assert.fail(`no ${name}`);
  return serverLaunch(plan, ports, "/data");
}

describe("ports of a set", () => {
  const set: DeploymentSet = {
    name: "s",
    etcd: [],
    servers: [
      {
        kind: "mqnamesrv",
        name: "namesrv",
        file: "/s/namesrv.conf",
        ports: [
          { key: "listenPort", port: 9876 },
          { key: "metricsPromExporterPort", port: 5558 },
        ],
        addresses: {},
        isSlave: false,
        isLoopbackOnly: true,
      },
    ],
  };

  async function taken<T>(act: (port: number) => Promise<T>): Promise<T> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    try {
      return await act(typeof address === "object" ? (address?.port ?? 0) : 0);
    } finally {
      server.close();
    }
  }

  it("are free ones for 0", async () => {
    const map = await planPorts(set, 0);
    assert.deepEqual([...map.keys()], [9876, 5558]);
    assert.equal(new Set(map.values()).size, 2);
  });

  it("say whose port is taken, and what to do", async () => {
    await taken(async (port) => {
      const ports = [{ key: "listenPort", port }];
      const busy = { ...set, servers: set.servers.map((server) => ({ ...server, ports })) };
      await assert.rejects(
        () => planPorts(busy, undefined),
        new RegExp(`port ${port} \\(listenPort of namesrv\\) is taken: .*--base-port`),
      );
      await assert.rejects(() => planPorts(set, port), /is taken/);
    });
  });

  it("refuse a port that two processes name", async () => {
    const twice = { ...set, servers: [...set.servers, ...set.servers] };
    await assert.rejects(() => planPorts(twice, 0), /port 9876 is named twice/);
  });

  it("count on from the base, and end at the largest port", async () => {
    const [first] = (await planPorts(set, 0)).values();
    const base = first ?? 0;
    const map = await planPorts(set, base).catch(() => undefined);
    if (map !== undefined) assert.deepEqual([...map.values()], [base, base + 1]);
    await assert.rejects(() => planPorts(set, 65_535), /too few ports|is taken/);
  });
});

describe("command lines of a set's processes", () => {
  it("overrule only where the data is when the ports are those of the files", () => {
    const set = shipped("2m-2s-sync");
    const { args, kind } = launchOf(set, "broker-a", new Map());
    const file = set.servers.find(({ name }) => name === "broker-a")?.file ?? "";
    assert.equal(kind, "mqbroker");
    const data = ["--storePathRootDir", "/data/broker-a", "--bindAddress", "127.0.0.1"];
    assert.deepEqual(args, ["-c", file, ...data]);
  });

  it("follow other ports in every address that names this machine", () => {
    const set = shipped("ha");
    const ports = new Map([
      [8081, 1],
      [10_912, 2],
      [9876, 3],
      [2379, 4],
      [22_379, 5],
    ]);
    const text = shellText(launchOf(set, "broker-a-1", ports));
    assert.match(text, /--grpcServerPort 1 --haListenPort 2 /);
    assert.match(text, /--namesrvAddr '127\.0\.0\.1:3;127\.0\.0\.1:9877'/);
    assert.match(text, /--controllerAddr '127\.0\.0\.1:4;127\.0\.0\.1:5;127\.0\.0\.1:32379'/);
  });

  it("end slaves first, then masters, NameServers and etcd", () => {
    const set = shipped("2m-2s-async");
    const rank = (name: string): number => launchOf(set, name, new Map()).endRank;
    assert.ok(rank("broker-a-s") < rank("broker-a"));
    assert.ok(rank("broker-a") < rank("namesrv-1"));
    const ha = shipped("ha");
    const place = { program: "/usr/bin/etcd", ports: new Map(), dataFolder: "/data" };
    const [first] = ha.etcd;
    const etcd = etcdLaunch(first ?? assert.fail("no etcd"), ha, place);
    assert.ok(rank("namesrv-1") < etcd.endRank);
    assert.match(
      shellText(etcd),
      /--initial-cluster 'etcd-1=http:\/\/127\.0\.0\.1:2380,etcd-2=http:\/\/127\.0\.0\.1:22380,etcd-3=.*32380'|--initial-cluster etcd-1=http:\/\/127\.0\.0\.1:2380,etcd-2=http:\/\/127\.0\.0\.1:22380,etcd-3=\S*32380/,
    );
  });
});

describe("the command line of npm run cluster", () => {
  it("reads the set and its flags", () => {
    assert.deepEqual(parseCommandLine(["ha", "--data", "d", "--base-port", "20000"]), {
      kind: "run",
      set: "ha",
      data: "d",
      ephemeral: false,
      basePort: 20_000,
    });
    assert.deepEqual(parseCommandLine(["-h"]), { kind: "help" });
  });

  it("says what it does not understand", () => {
    for (const [argv, pattern] of [
      [[], /name a set/],
      [["ha", "single"], /one set at a time, not also single/],
      [["ha", "--frob"], /Unknown option '--frob'/],
      [["ha", "--base-port", "80"], /0 or from 1024 to 65000, not "80"/],
      [["ha", "--data", "d", "--ephemeral"], /exclude each other/],
    ] as const) {
      assert.throws(() => parseCommandLine(argv), pattern);
    }
  });
});
