// Three elector processes, and what they say.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { formatAddress } from "../../base/index.ts";
import type { EtcdCluster } from "./etcd-cluster.ts";

const program = fileURLToPath(new URL("elector-process.ts", import.meta.url));

interface Said {
  readonly event: string;
  readonly brokerId: number;
  readonly atMs: number;
  readonly epoch?: number;
  readonly inSync?: readonly number[];
  readonly reason?: string;
}

/** Processes by their brokerId. */
export class ElectorGroup {
  readonly said: Said[] = [];
  readonly #cluster: EtcdCluster;
  readonly #leaseSeconds: number;
  readonly #processes = new Map<number, ChildProcess>();
  #heard: (() => void)[] = [];

  constructor(cluster: EtcdCluster, leaseSeconds = 2) {
    this.#cluster = cluster;
    this.#leaseSeconds = leaseSeconds;
  }

  start(brokerId: number): void {
    const addresses = this.#cluster.addresses.map(formatAddress);
    const child = spawn(
      process.execPath,
      ["--import", "tsx", program, String(brokerId), String(this.#leaseSeconds), ...addresses],
      { stdio: ["pipe", "pipe", "inherit"] },
    );
    this.#processes.set(brokerId, child);
    createInterface({ input: child.stdout }).on("line", (line) => {
      this.said.push({ ...(JSON.parse(line) as Said), atMs: performance.now() });
      for (const listener of this.#heard.splice(0)) listener();
    });
  }

  /** Waits for something to be said from `from` on; gives it. */
  async hear(from: number, wanted: (line: Said) => boolean, withinMs = 20_000): Promise<Said> {
    const endMs = performance.now() + withinMs;
    for (;;) {
      const line = this.said.slice(from).find(wanted);
      if (line !== undefined) return line;
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) throw new Error(`not heard: ${await this.#story(from)}`);
      const { promise, listener, timer } = waiter(leftMs);
      this.#heard.push(listener);
      await promise;
      clearTimeout(timer);
    }
  }

  /** Waits until etcd says that every process runs and is in sync; gives the master. */
  async whole(): Promise<number> {
    const client = await this.#cluster.connect("electors");
    try {
      for (let tries = 0; tries < 600; tries++) {
        const { record, holder, members } = await client.read({ timeoutMs: 5_000 });
        const counts = [members.length, record?.value.inSync.length];
        const isWhole = counts.every((count) => count === this.#processes.size);
        if (holder !== undefined && isWhole) return holder.brokerId;
        await sleep(50);
      }
    } finally {
      client.close();
    }
    throw new Error(`the group did not become whole: ${await this.#story(this.said.length)}`);
  }

  tell(brokerId: number, line: string): void {
    this.#processes.get(brokerId)?.stdin?.write(`${line}\n`);
  }

  signal(brokerId: number, signal: "SIGSTOP" | "SIGCONT"): void {
    this.#processes.get(brokerId)?.kill(signal);
  }

  /** kill -9; gives when. */
  async kill(brokerId: number): Promise<number> {
    const child = this.#processes.get(brokerId);
    this.#processes.delete(brokerId);
    if (child === undefined || child.exitCode !== null) return performance.now();
    const exited = once(child, "exit");
    const atMs = performance.now();
    child.kill("SIGKILL");
    await exited;
    return atMs;
  }

  /** What was said from `from` on and shortly before, and the group in etcd's own words. */
  async #story(from: number): Promise<string> {
    const client = await this.#cluster.connect("electors");
    const view = await client.read({ timeoutMs: 5_000 }).catch(String);
    client.close();
    const before = this.said.slice(Math.max(0, from - 12), from);
    return JSON.stringify({ since: this.said.slice(from), before, etcd: view }, undefined, 1);
  }

  async close(): Promise<void> {
    for (const brokerId of [...this.#processes.keys()]) await this.kill(brokerId);
  }
}

function waiter(leftMs: number): {
  promise: Promise<void>;
  listener: () => void;
  timer: NodeJS.Timeout;
} {
  let listener = (): void => {};
  const promise = new Promise<void>((resolve) => {
    listener = resolve;
  });
  const timer = setTimeout(listener, leftMs);
  return { promise, listener, timer };
}
