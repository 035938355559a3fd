// The sets as they are shipped: what each describes, and that every key in them means something.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  brokerRole,
  type ConfigRole,
  Configuration,
  namesrvRole,
  standaloneRole,
} from "../base/index.ts";
import { readSet } from "./deployment-set.ts";
import { packageFolder, programOf, setFolder, setNames } from "./places.ts";

function folderOf(set: string): string {
  return setFolder(set) ?? assert.fail(`no set ${set}`);
}

function configOf(file: string) {
  const text = readFileSync(file, "utf8");
  const load = <C extends object>(role: ConfigRole<C>) =>
    Configuration.load(role, { file: { name: file, text } });
  const program = programOf(file.split("/").at(-1) ?? "");
  if (program === "mqnamesrv") return load(namesrvRole);
  return program === "cometmq" ? load(standaloneRole) : load(brokerRole);
}

function broker(set: string, name: string) {
  const file = join(folderOf(set), `${name}.conf`);
  return Configuration.load(brokerRole, { file: { name: file, text: readFileSync(file, "utf8") } })
    .values;
}

describe("configuration sets", () => {
  it("are those that operators of RocketMQ know, and elected groups", () => {
    for (const name of ["2m-2s-async", "2m-2s-sync", "2m-noslave", "ha", "standalone"]) {
      assert.ok(setNames().includes(name), name);
    }
    assert.equal(setFolder("systemd"), undefined);
    assert.equal(setFolder("nowhere"), undefined);
  });

  for (const name of setNames()) {
    it(`${name} has no key without meaning, and no port twice`, () => {
      const folder = folderOf(name);
      for (const file of readdirSync(folder).filter((entry) => programOf(entry) !== undefined)) {
        assert.deepEqual(configOf(join(folder, file)).warnings, [], file);
      }
      const set = readSet(name, folder);
      const ports = [...set.servers, ...set.etcd].flatMap((plan) =>
        plan.ports.map(({ port }) => port),
      );
      assert.equal(new Set(ports).size, ports.length, ports.join(" "));
    });

    it(`${name} says in each file how it is started`, () => {
      const folder = folderOf(name);
      for (const { kind, file } of readSet(name, folder).servers) {
        const start = `bin/${kind} -c ${file.slice(packageFolder().length)}`.replace("-c /", "-c ");
        assert.ok(readFileSync(file, "utf8").includes(start), `${file} must name: ${start}`);
      }
    });
  }

  it("name in each broker the NameServers of the set", () => {
    for (const name of ["2m-2s-async", "2m-2s-sync", "2m-noslave", "ha"]) {
      const { servers } = readSet(name, folderOf(name));
      const listening = servers
        .filter(({ kind }) => kind === "mqnamesrv")
        .map(({ ports }) => ports[0]?.port);
      assert.equal(listening.length, 2);
      for (const { kind, addresses, file } of servers) {
        if (kind !== "mqbroker") continue;
        const named = (addresses["namesrvAddr"] ?? []).map(({ port }) => port);
        assert.deepEqual(named, listening, file);
      }
    }
  });

  it("2m-2s-async and 2m-2s-sync have a slave for each master", () => {
    for (const [set, role] of [
      ["2m-2s-async", "ASYNC_MASTER"],
      ["2m-2s-sync", "SYNC_MASTER"],
    ] as const) {
      for (const name of ["broker-a", "broker-b"]) {
        const [master, slave] = [broker(set, name), broker(set, `${name}-s`)];
        assert.deepEqual([master.brokerName, master.brokerId, master.brokerRole], [name, 0, role]);
        assert.deepEqual([slave.brokerName, slave.brokerId, slave.brokerRole], [name, 1, "SLAVE"]);
        assert.equal(master.brokerClusterName, slave.brokerClusterName);
      }
    }
    const { servers } = readSet("2m-2s-sync", folderOf("2m-2s-sync"));
    assert.equal(servers.filter(({ isSlave }) => isSlave).length, 2);
  });

  it("ha has two groups of three that elect through the same three etcd members", () => {
    const { servers, etcd } = readSet("ha", folderOf("ha"));
    assert.deepEqual(
      etcd.map(({ ports }) => ports.map(({ port }) => port)),
      [
        [2379, 2380],
        [22379, 22380],
        [32379, 32380],
      ],
    );
    assert.equal(servers.filter(({ kind }) => kind === "mqbroker").length, 6);
    for (const name of ["broker-a", "broker-b"]) {
      const group = [1, 2, 3].map((id) => broker("ha", `${name}-${id}`));
      assert.deepEqual(
        group.map(({ brokerId }) => brokerId),
        [1, 2, 3],
      );
      assert.ok(group.every(({ enableControllerMode }) => enableControllerMode));
      assert.ok(group.every((values) => values.brokerName === name));
    }
  });

  it("may be any folder with such files; a bad value names its file", () => {
    const folder = mkdtempSync(join(tmpdir(), "set-"));
    try {
      mkdirSync(join(folder, "mine"));
      const file = join(folder, "mine/broker-x.conf");
      writeFileSync(file, "brokerName = x\ngrpcServerPort = 1\n");
      const found = setFolder(join(folder, "mine"));
      assert.equal(readSet("mine", found ?? "").servers[0]?.name, "broker-x");
      writeFileSync(file, "grpcServerPort = many\n");
      assert.throws(() => readSet("mine", found ?? ""), /grpcServerPort = "many".*broker-x\.conf/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
