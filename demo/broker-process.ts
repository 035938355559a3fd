// A standalone server as a process of its own: free ports, a temporary folder, gone at the end.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const stopMaxMs = 5_000;
const logLinesKept = 20;

/** The program beside the source folder, also when this file runs from dist/. */
function programPath(): string {
  const places = ["../bin/cometmq", "../../bin/cometmq"].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  const found = places.find((place) => existsSync(place));
  if (found === undefined)
    throw new Error(`bin/cometmq is missing: looked at ${places.join(", ")}`);
  return found;
}

/** A running server. */
export class BrokerProcess {
  /** `host:port` for clients. */
  readonly endpoints: string;
  readonly #metrics: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string, addresses: ReadonlyMap<string, string>) {
    this.#child = child;
    this.#folder = folder;
    this.endpoints = addresses.get("grpc") ?? "";
    this.#metrics = addresses.get("metrics") ?? "";
  }

  /** Starts one; resolves when it is ready. Rejects with its last words when it ends before that. */
  static async start(signal: AbortSignal): Promise<BrokerProcess> {
    const folder = mkdtempSync(join(tmpdir(), "cometmq-demo-"));
    const ports = ["--grpc-port", "0", "--namesrv-port", "0", "--metrics-port", "0"];
    const child = spawn(process.execPath, [programPath(), "--ephemeral", ...ports], {
      stdio: ["ignore", "pipe", "pipe"],
      // Its own temporary folder goes inside ours, so that what it leaves behind would be seen.
      env: { ...process.env, TMPDIR: folder },
    });
    const onExit = (): void => void child.kill("SIGKILL");
    process.once("exit", onExit);
    child.once("exit", () => process.off("exit", onExit));
    try {
      return new BrokerProcess(child, folder, await ready(child, signal));
    } catch (error) {
      child.kill("SIGKILL");
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Bytes of memory it holds now; undefined when it does not say. */
  async memoryBytes(signal: AbortSignal): Promise<number | undefined> {
    const answer = await fetch(`http://${this.#metrics}/metrics`, { signal });
    const match = /^cometmq_memory_bytes\{kind="resident"[^}]*\} (\S+)/m.exec(await answer.text());
    return match === null ? undefined : Number(match[1]);
  }

  /** Stops it and removes its folder. Resolves with what it should have removed itself and did not. */
  async stop(): Promise<readonly string[]> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, "exit");
      this.#child.kill("SIGTERM");
      const timer = setTimeout(() => this.#child.kill("SIGKILL"), stopMaxMs);
      await exited;
      clearTimeout(timer);
    }
    const left = readdirSync(this.#folder);
    rmSync(this.#folder, { recursive: true, force: true });
    return left;
  }
}

/** The addresses of the `ready` line. */
function ready(child: ChildProcess, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  return new Promise((resolve, reject) => {
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) return reject(new Error("no pipes to the broker"));
    const log: string[] = [];
    const fail = (reason: string): void => reject(new Error([reason, ...log].join("\n")));
    createInterface({ input: stderr }).on("line", (line) => {
      log.push(line);
      if (log.length > logLinesKept) log.shift();
    });
    createInterface({ input: stdout }).on("line", (line) => {
      if (!line.startsWith("ready ")) return;
      const pairs = line.split(" ").slice(1);
      resolve(new Map(pairs.map((pair) => [pair.split("=")[0] ?? "", pair.split("=")[1] ?? ""])));
    });
    child.once("error", reject);
    child.once("exit", (code) => fail(`the broker ended with code ${code} before it was ready`));
    signal.addEventListener("abort", () => fail("the broker did not get ready in time"), {
      once: true,
    });
  });
}
