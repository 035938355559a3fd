// Starts the servers of the benchmark: CometMQ standalone, and the no-op grpc-js server it is held against.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ServerProcess } from "./server-process.ts";

/** Where servers leave a CPU profile when they end; for who looks why a bar is missed. */
const profileFolder = process.env["BENCH_PROFILE"];
const profiling =
  profileFolder === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", profileFolder];
const root = fileURLToPath(new URL("..", import.meta.url));

/** A running server and the port of its gRPC service. */
export interface RunningServer extends AsyncDisposable {
  readonly process: ServerProcess;
  readonly port: number;
  /** Port of the metrics page; 0 for the no-op server. */
  readonly metricsPort: number;
  /** From start to the line that says it is ready, milliseconds. */
  readonly readyMs: number;
}

/** Starts CometMQ standalone with a folder of its own, removed at the end. */
export async function startBroker(flags: readonly string[] = []): Promise<RunningServer> {
  const folder = await mkdtemp(join(tmpdir(), "cometmq-bench-"));
  const ports = ["--grpc-port", "0", "--namesrv-port", "0", "--metrics-port", "0"];
  const began = performance.now();
  const server = await ServerProcess.start(
    [
      process.execPath,
      ...profiling,
      join(root, "bin/cometmq"),
      "--data",
      folder,
      ...ports,
      ...flags,
    ],
    (line) => line.startsWith("ready"),
  );
  const readyMs = performance.now() - began;
  const ready = server.firstLines.find((line) => line.startsWith("ready")) ?? "";
  return {
    process: server,
    port: portIn(ready, "grpc"),
    metricsPort: portIn(ready, "metrics"),
    readyMs,
    async [Symbol.asyncDispose]() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Starts the no-op server. */
export async function startNoop(): Promise<RunningServer> {
  const began = performance.now();
  const server = await ServerProcess.start(
    [process.execPath, "--import", "tsx", join(root, "bench/noop-server.ts")],
    () => true,
  );
  return {
    process: server,
    port: Number(server.firstLines[0]),
    metricsPort: 0,
    readyMs: performance.now() - began,
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

/** Runs `work` and adds up the server's CPU time meanwhile, milliseconds. */
export async function withCpu<T>(
  server: RunningServer,
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly cpuMs: number }> {
  const before = server.process.cpuMs();
  const result = await work();
  return { result, cpuMs: server.process.cpuMs() - before };
}

/** Adds up one counter of the broker's metrics page over all its labels. */
export async function counter(server: RunningServer, name: string): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${server.metricsPort}/metrics`)).text();
  const values = [...page.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, "gm"))];
  return values.reduce((sum, match) => sum + Number(match[1]), 0);
}

/** The port of one address in a ready line. */
export function portIn(line: string, name: string): number {
  const found = new RegExp(`\\b${name}[=:]\\S*?:(\\d+)`).exec(line)?.[1];
  if (found === undefined) throw new Error(`no ${name} address in: ${line}`);
  return Number(found);
}
