// Dockerfile, compose files and systemd units, looked at by tools that need no daemon; and against the configuration
// sets that they start.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import { validate } from "dockerfile-utils";
import { parse } from "yaml";
import {
  type BrokerConfig,
  brokerRole,
  type ConfigRole,
  Configuration,
  namesrvRole,
  standaloneRole,
} from "../../base/index.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const docker = join(root, "deploy/docker");
const systemd = join(root, "deploy/systemd");
const sets = ["2m-2s-async", "2m-2s-sync", "2m-noslave", "ha", "standalone"];
/** Of systemd-analyze security: 0 is closed, 10 open. */
const exposureMax = 2;

interface Service {
  readonly image: string;
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly healthcheck?: object;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

function compose(set: string): Compose {
  const text = readFileSync(join(docker, `${set}.yml`), "utf8");
  return parse(text, { merge: true }) as Compose;
}

/** The configuration that a service of ours runs with, as the program reads it in its container. */
function configurationOf(service: Service): Configuration<object> {
  const [program = "", ...args] = service.command;
  const mounted = (service.volumes ?? []).find((volume) => volume.includes(".conf:"));
  const [source = "", target = ""] = (mounted ?? "").split(":");
  assert.equal(
    args[args.indexOf("-c") + 1],
    target,
    "the file that is mounted is the one that is read",
  );
  const file = resolve(docker, source);
  const load = <C extends object>(role: ConfigRole<C>): Configuration<object> => {
    const flags: Record<string, string> = {};
    for (const [index, word] of args.entries()) {
      if (word.startsWith("--")) flags[word.slice(2)] = args[index + 1] ?? "";
    }
    return Configuration.load(role, {
      flags,
      environment: { ...imageEnvironment(), ...service.environment },
      file: { name: file, text: readFileSync(file, "utf8") },
    }) as unknown as Configuration<object>;
  };
  if (program === "bin/mqnamesrv") return load(namesrvRole);
  return program === "bin/cometmq" ? load(standaloneRole) : load(brokerRole);
}

/** What the image's ENV sets. */
function imageEnvironment(): Record<string, string> {
  const text = readFileSync(join(docker, "Dockerfile"), "utf8");
  const pairs = [...text.matchAll(/(COMETMQ_\w+)=(\S+)/g)];
  return Object.fromEntries(pairs.map(([, key, value]) => [key ?? "", value ?? ""]));
}

function isOurs(service: Service): boolean {
  return service.image.startsWith("cometmq");
}

describe("the Dockerfile", () => {
  const text = readFileSync(join(docker, "Dockerfile"), "utf8");

  it("has no fault that dockerfile-utils finds", () => {
    const found = validate(text).map((fault) => JSON.stringify(fault));
    assert.deepEqual(found, []);
  });

  it("runs as nobody in particular, with a health check and without a shell", () => {
    const last = text.slice(text.lastIndexOf("\nFROM "));
    assert.match(last, /^USER (?!0\b|root\b)\d+/m);
    assert.match(last, /^HEALTHCHECK /m);
    assert.doesNotMatch(last, /^RUN |curl|wget/m);
    assert.doesNotMatch(text, /^ADD /m);
  });

  it("copies only what is there", () => {
    for (const [, words] of text.matchAll(/^COPY (?!--from|\. )(.*) \S+$/gm)) {
      for (const path of (words ?? "").split(" ")) assert.ok(existsSync(join(root, path)), path);
    }
  });
});

describe("the compose files", () => {
  // Formats are hints of the schema; what matters here is its shape.
  const ajv = new Ajv({ strict: false, validateFormats: false });
  const schema = JSON.parse(
    readFileSync(new URL("compose-spec.json", import.meta.url), "utf8"),
  ) as Record<string, unknown>;
  // The address under which Ajv knows the same draft.
  const check = ajv.compile({ ...schema, $schema: "http://json-schema.org/draft-07/schema#" });

  it("are one for each set", () => {
    const files = readdirSync(docker).filter((file) => file.endsWith(".yml"));
    assert.deepEqual(
      files.toSorted(),
      sets.map((set) => `${set}.yml`),
    );
  });

  it("would be refused if they were wrong", () => {
    assert.equal(check({ services: { a: { image: 1 } } }), false);
    assert.equal(check({ services: { a: { image: "x", nonsense: true } } }), false);
  });

  for (const set of sets) {
    it(`${set} keeps to the compose specification`, () => {
      assert.ok(check(compose(set)), JSON.stringify(check.errors, null, 1));
    });

    it(`${set} gives no service more than it needs`, () => {
      for (const [name, service] of Object.entries(compose(set).services)) {
        assert.equal(service.read_only, true, name);
        assert.deepEqual(service.cap_drop, ["ALL"], name);
        assert.deepEqual(service.security_opt, ["no-new-privileges:true"], name);
        for (const port of service.ports ?? []) assert.match(port, /^127\.0\.0\.1:/, name);
        // Ours has its check in the image.
        assert.ok(isOurs(service) || service.healthcheck !== undefined, name);
      }
    });

    it(`${set} runs every file of its set, with keys and addresses that are right in containers`, () => {
      const { services, volumes } = compose(set);
      const ours = Object.entries(services).filter(([, service]) => isOurs(service));
      const files = readdirSync(join(root, "deploy", set)).filter((file) => file.endsWith(".conf"));
      const named = ours.map(([name]) => `${name}.conf`);
      assert.deepEqual(named.toSorted(), files.toSorted());
      for (const [name, service] of ours) {
        const configuration = configurationOf(service);
        assert.deepEqual(configuration.warnings, [], name);
        const values = configuration.values as Partial<BrokerConfig>;
        assert.equal(values.bindAddress, "0.0.0.0", name);
        assert.equal(values.metricsPromExporterPort, 5557, name);
        for (const { host } of [...(values.namesrvAddr ?? []), ...(values.controllerAddr ?? [])]) {
          assert.ok(host in services, `${name} names ${host}`);
        }
        if (values.storePathRootDir === undefined) continue;
        assert.equal(values.storePathRootDir, "/data", name);
        assert.ok(service.volumes?.includes(`${name}:/data`), name);
        assert.ok(name in volumes, name);
        const published = (service.ports ?? []).map((port) => port.split(":").at(-1));
        assert.ok(published.includes(String(values.grpcServerPort)), name);
      }
    });
  }
});

describe("the systemd units", () => {
  for (const unit of ["mqnamesrv", "mqbroker"]) {
    let folder = "";
    let file = "";

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), "systemd-"));
      file = join(folder, `${unit}@a.service`);
      // As installed, but where the programs are on this machine: the tool looks for them.
      const text = readFileSync(join(systemd, `${unit}@.service`), "utf8")
        .replace("/usr/bin/node", process.execPath)
        .replace("/opt/cometmq/bin", join(root, "bin"));
      writeFileSync(file, text);
    });
    afterEach(() => rmSync(folder, { recursive: true, force: true }));

    it(`${unit}@ has no fault that systemd-analyze finds`, () => {
      const args = ["verify", "--man=no", file];
      execFileSync("systemd-analyze", args, { stdio: "pipe", encoding: "utf8" });
    });

    it(`${unit}@ leaves little open`, () => {
      const args = ["security", "--offline=true", "--no-pager", `--threshold=${exposureMax * 10}`];
      execFileSync("systemd-analyze", [...args, file], { stdio: "pipe", encoding: "utf8" });
    });
  }
});
