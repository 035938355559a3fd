// `npm run cluster -- SET`: all processes of a configuration set on this machine, in one terminal.
import { basename } from "node:path";
import { MqError } from "../base/index.ts";
import { Cluster, StartFailure } from "./cluster.ts";
import { dataFolder, rememberPorts } from "./cluster-folder.ts";
import { type ClusterRequest, helpText, parseCommandLine, UsageError } from "./command-line.ts";
import { type DeploymentSet, readSet } from "./deployment-set.ts";
import { onPath, setFolder, setNames, shownPath } from "./places.ts";
import { PortConflict, planPorts } from "./port-plan.ts";

const exitCode = { stopped: 0, failed: 1, usage: 2 } as const;
const echoMs = 500;
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function alarm(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Runs the command; resolves with its exit code. */
async function runCluster(argv: readonly string[]): Promise<number> {
  try {
    const request = parseCommandLine(argv);
    if (request.kind === "run") return await run(request);
    process.stdout.write(helpText(setNames()));
    return exitCode.stopped;
  } catch (error) {
    if (error instanceof UsageError) {
      alarm(`cluster: ${error.message}; see npm run cluster -- --help`);
      return exitCode.usage;
    }
    // What files, ports and folders refuse says enough without the stack.
    const isExpected =
      error instanceof MqError ||
      error instanceof PortConflict ||
      (error instanceof Error && "syscall" in error);
    if (!isExpected) throw error;
    alarm(`cluster: ${error.message}`);
    return exitCode.failed;
  }
}

async function run(request: Extract<ClusterRequest, { kind: "run" }>): Promise<number> {
  const folder = setFolder(request.set);
  if (folder === undefined) {
    throw new UsageError(`there is no set ${request.set}; there are ${setNames().join(", ")}`);
  }
  const set = readSet(basename(folder), folder);
  const etcdProgram = set.etcd.length === 0 ? undefined : onPath("etcd");
  if (set.etcd.length > 0 && etcdProgram === undefined) {
    alarm(
      `cluster: the brokers of ${set.name} elect their masters through etcd, and there is no program etcd on PATH.\n` +
        "  Debian and Ubuntu: apt-get install etcd-server\n" +
        "  others: https://github.com/etcd-io/etcd/releases, version 3.4 or later",
    );
    return exitCode.failed;
  }
  const ports = await planPorts(set, request.basePort);
  const data = dataFolder({ set, data: request.data, ephemeral: request.ephemeral });
  rememberPorts(data, set, ports);
  const count = set.etcd.length + set.servers.length;
  say(`${set.name}: ${count} processes; data and logs in ${shownPath(data)}`);
  return await live(new Cluster({ set, ports, dataFolder: data, etcdProgram, say, alarm }), set);
}

async function live(cluster: Cluster, set: DeploymentSet): Promise<number> {
  const stopping = new AbortController();
  let askedAtMs = 0;
  for (const signal of signals) {
    process.on(signal, () => {
      // One Ctrl-C comes twice: from the terminal, and from npm, which has got it, too.
      const isEcho = stopping.signal.aborted && performance.now() - askedAtMs < echoMs;
      if (isEcho) return;
      askedAtMs = performance.now();
      if (stopping.signal.aborted) cluster.kill();
      else say("stopping; once more ends all at once");
      stopping.abort();
    });
  }
  try {
    await cluster.start(stopping.signal);
  } catch (error) {
    if (!(error instanceof StartFailure)) throw error;
    await cluster.stop();
    if (stopping.signal.aborted) return exitCode.stopped;
    alarm(`cluster: ${set.name} could not be started`);
    return exitCode.failed;
  }
  const nameServers = cluster.addresses("namesrv").join(";");
  say(`all ${cluster.count} processes run. Ctrl-C ends them.`);
  say(`  clients:   ${cluster.addresses("grpc").join(";")}`);
  say(`  operators: bin/mqadmin clusterList -n '${nameServers}'`);
  const asked = new Promise<"asked">((resolve) => {
    stopping.signal.addEventListener("abort", () => resolve("asked"), { once: true });
    if (stopping.signal.aborted) resolve("asked");
  });
  const first = await Promise.race([asked, cluster.allEnded()]);
  if (first !== "asked") {
    alarm("cluster: no process is left");
    return exitCode.failed;
  }
  await cluster.stop();
  return exitCode.stopped;
}

// A reader of the output that went away must not take the cluster with it.
process.stdout.on("error", () => {});
process.stderr.on("error", () => {});
process.exit(await runCluster(process.argv.slice(2)));
