import assert from "node:assert/strict";
import { MqError } from "../errors.ts";
import {
  type BrokerConfig,
  brokerRole,
  Configuration,
  namesrvRole,
  standaloneRole,
} from "./index.ts";

function load(text: string, flags = {}, environment = {}): Configuration<BrokerConfig> {
  return Configuration.load(brokerRole, {
    file: { name: "broker.conf", text },
    flags,
    environment,
  });
}

function refusal(run: () => unknown): MqError {
  let caught: unknown;
  assert.throws(run, (error) => {
    caught = error;
    return error instanceof MqError && error.code === "BAD_CONFIG";
  });
  assert.ok(caught instanceof MqError);
  return caught;
}

describe("configuration", () => {
  it("every default passes its own check", () => {
    for (const role of [brokerRole, namesrvRole, standaloneRole]) {
      const configuration = Configuration.load<object>(role as never);
      for (const entry of configuration.entries()) {
        assert.equal(entry.source, "default");
        const row = (role.keys as Record<string, { parse(text: string): unknown }>)[entry.key];
        assert.notEqual(row?.parse(entry.value), undefined, `${role.name} ${entry.key}`);
      }
    }
  });

  it("takes RocketMQ's sample broker.conf", () => {
    const { values, warnings } = load(
      "brokerClusterName = DefaultCluster\nbrokerName = broker-a\nbrokerId = 0\ndeleteWhen = 04\n" +
        "fileReservedTime = 48\nbrokerRole = ASYNC_MASTER\nflushDiskType = ASYNC_FLUSH\n" +
        "namesrvAddr=a:9876;b:9876\nlistenPort=10911\nsendMessageThreadPoolNums=8\n" +
        "enablePropertyFilter = true\n",
    );
    assert.equal(values.brokerName, "broker-a");
    assert.equal(values.fileReservedTime, 48);
    assert.equal(values.flushDiskType, "ASYNC_FLUSH");
    assert.deepEqual(values.namesrvAddr, [
      { host: "a", port: 9876 },
      { host: "b", port: 9876 },
    ]);
    assert.equal(warnings.length, 3);
    assert.match(warnings[0] ?? "", /^broker\.conf:9: unknown key listenPort; a RocketMQ key/);
    assert.match(warnings[2] ?? "", /unknown key enablePropertyFilter; a RocketMQ key/);
  });

  it("shows no secret: not in lists, not in errors", () => {
    const set = load("haSecret = s3cret\n");
    assert.equal(set.values.haSecret, "s3cret");
    const shown = (configuration: typeof set): string | undefined =>
      configuration.entries().find(({ key }) => key === "haSecret")?.value;
    assert.equal(shown(set), "***");
    assert.equal(shown(load("")), "");
    const told = [
      refusal(() => load("haSecret = not s3cret\n")),
      refusal(() => set.updateLive("haSecret", "s3cret")),
    ];
    for (const error of told) {
      assert.match(error.message, /haSecret/);
      assert.doesNotMatch(error.message + JSON.stringify(error.facts), /s3cret/);
    }
  });

  it("flag wins over environment over file over default", () => {
    const file = "grpcServerPort = 1\nbrokerName = f\nmetricsPromExporterPort = 1\n";
    const environment = { COMETMQ_grpcServerPort: "2", COMETMQ_METRICS_PROM_EXPORTER_PORT: "2" };
    const configuration = load(file, { grpcServerPort: "3" }, environment);
    const sources = new Map(configuration.entries().map((entry) => [entry.key, entry]));
    assert.deepEqual(
      ["grpcServerPort", "metricsPromExporterPort", "brokerName", "brokerId"].map((key) => {
        const entry = sources.get(key);
        return [entry?.value, entry?.source];
      }),
      [
        ["3", "flag"],
        ["2", "environment"],
        ["f", "file"],
        ["0", "default"],
      ],
    );
  });

  it("NAMESRV_ADDR counts unless COMETMQ_namesrvAddr or a flag says otherwise", () => {
    const environment = { NAMESRV_ADDR: "a:1" };
    assert.equal(load("", {}, environment).values.namesrvAddr[0]?.host, "a");
    const both = { COMETMQ_namesrvAddr: "b:1", ...environment };
    assert.equal(load("", {}, both).values.namesrvAddr[0]?.host, "b");
    assert.equal(load("", { namesrvAddr: "c:1" }, both).values.namesrvAddr[0]?.host, "c");
  });

  it("names key, value, place and allowed range of a bad value", () => {
    const error = refusal(() => load("\ngrpcServerPort = 70000"));
    assert.equal(
      error.message,
      'grpcServerPort = "70000" (broker.conf:2) is not allowed: give a whole number from 0 to 65535',
    );
    assert.deepEqual(error.facts, {
      key: "grpcServerPort",
      value: "70000",
      allowed: "a whole number from 0 to 65535",
    });
  });

  it("refuses roles and ids that do not fit each other", () => {
    const message = (text: string): string => refusal(() => load(text)).message;
    assert.match(message("brokerRole = SLAVE"), /SLAVE needs a brokerId from 1/);
    assert.match(message("brokerId = 1"), /ASYNC_MASTER needs brokerId 0, not 1/);
    assert.match(message("enableControllerMode = true"), /needs a brokerId from 1/);
    assert.match(
      message("enableControllerMode = true\nbrokerId = 1"),
      /needs controllerAddr, the HOST:PORT of the etcd members/,
    );
    assert.equal(load("brokerRole = SLAVE\nbrokerId = 1").values.inSyncReplicas, 2);
  });

  it("warns of unknown keys and variables, refuses unknown flags", () => {
    const { warnings } = load("brokername = x\nnonsense = 1", {}, { COMETMQ_NONSENSE: "1" });
    assert.deepEqual(warnings, [
      "broker.conf:1: unknown key brokername; did you mean brokerName?",
      "broker.conf:2: unknown key nonsense, ignored",
      "environment COMETMQ_NONSENSE: no such key of a broker; ignored",
    ]);
    assert.match(refusal(() => load("", { nonsense: "1" })).message, /unknown flag --nonsense/);
    assert.match(refusal(() => load("", { toString: "1" })).message, /unknown flag/);
    assert.equal(load("constructor = 1").warnings.length, 1);
  });

  it("refuses keys that contradict each other", () => {
    const ratios = refusal(() => load("diskMaxUsedSpaceRatio = 95"));
    assert.match(ratios.message, /diskMaxUsedSpaceRatio \(95 %\) must not be over disk/);
    assert.match(refusal(() => load("tlsCertPath = /x")).message, /must both be set/);
    const segment = refusal(() => load("mappedFileSizeCommitLog = 1m"));
    assert.match(segment.message, /mappedFileSizeCommitLog .* must be at least maxMessageSize/);
    assert.match(
      refusal(() => Configuration.load(namesrvRole, { flags: { tlsKeyPath: "/x" } })).message,
      /must both be set/,
    );
  });

  it("derives the commit log folder from the data folder", () => {
    assert.equal(load("storePathRootDir = /d").values.storePathCommitLog, "/d/commitlog");
    const moved = load("storePathRootDir = /d\nstorePathCommitLog = /e");
    assert.equal(moved.values.storePathCommitLog, "/e");
  });

  it("changes live keys and tells listeners, refuses the rest unchanged", () => {
    const configuration = load("");
    let changes = 0;
    configuration.onChange(() => changes++);
    configuration.updateLive("maxMessageSize", "1m");
    assert.equal(configuration.values.maxMessageSize, 2 ** 20);
    assert.equal(
      configuration.entries().find(({ key }) => key === "maxMessageSize")?.source,
      "live",
    );
    const before = configuration.values;
    refusal(() => configuration.updateLive("brokerName", "x"));
    refusal(() => configuration.updateLive("nonsense", "x"));
    refusal(() => configuration.updateLive("maxMessageSize", "-1"));
    refusal(() => configuration.updateLive("diskSpaceWarningLevelRatio", "20"));
    assert.equal(configuration.values, before);
    assert.equal(changes, 1);
  });

  it("can be overridden by a program before it starts", () => {
    const before = load("storePathRootDir = /d");
    const after = before.override({ storePathRootDir: "/e", storePathCommitLog: "" });
    assert.equal(before.values.storePathRootDir, "/d");
    assert.equal(after.values.storePathCommitLog, "/e/commitlog");
    assert.equal(before.source("storePathRootDir"), "file");
    assert.equal(after.source("storePathRootDir"), "flag");
  });

  it("is frozen", () => {
    const { values } = load("namesrvAddr = a:1");
    assert.ok(Object.isFrozen(values) && Object.isFrozen(values.namesrvAddr));
  });

  it("a standalone process is broker-a of DefaultCluster and creates topics", () => {
    const { values } = Configuration.load(standaloneRole);
    assert.equal(values.brokerName, "broker-a");
    assert.equal(values.brokerClusterName, "DefaultCluster");
    assert.equal(values.autoCreateTopicEnable, true);
    assert.equal(load("").values.autoCreateTopicEnable, false);
  });
});
