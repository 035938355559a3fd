// A server under measurement: a process of its own whose CPU time and memory the kernel accounts for.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";

/** One measured server process. */
export class ServerProcess {
  readonly child: ChildProcess;
  readonly firstLines: readonly string[];

  private constructor(child: ChildProcess, firstLines: readonly string[]) {
    this.child = child;
    this.firstLines = firstLines;
  }

  /** Starts `command` and waits for the first line of output that `isReady` accepts. */
  static async start(
    command: readonly string[],
    isReady: (line: string) => boolean,
  ): Promise<ServerProcess> {
    const [program = "", ...args] = command;
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    const lines: string[] = [];
    let complaints = "";
    child.stderr.on("data", (chunk: Buffer) => {
      complaints = (complaints + chunk.toString()).slice(-4000);
    });
    const reader = createInterface({ input: child.stdout });
    const exited = once(child, "exit").then(([code]) => {
      throw new Error(`${command.join(" ")} ended with ${String(code)}: ${complaints}`);
    });
    const ready = new Promise<void>((resolve) => {
      reader.on("line", (line) => {
        lines.push(line);
        if (isReady(line)) resolve();
      });
    });
    await Promise.race([ready, exited]);
    exited.catch(() => {});
    return new ServerProcess(child, lines);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** CPU time used so far by all threads that are there, user and system, milliseconds. Finer than the ticks of /proc/PID/stat. */
  cpuMs(): number {
    let nanos = 0;
    for (const thread of readdirSync(`/proc/${this.pid}/task`)) {
      const stat = readFileSync(`/proc/${this.pid}/task/${thread}/schedstat`, "utf8");
      nanos += Number(stat.split(" ")[0]);
    }
    return nanos / 1e6;
  }

  /** Resident memory now, MiB. */
  rssMb(): number {
    const line = readFileSync(`/proc/${this.pid}/status`, "utf8").match(/VmRSS:\s+(\d+) kB/);
    return Number(line?.[1] ?? 0) / 1024;
  }

  /** Ends the process and waits for it. */
  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, "exit");
    this.child.kill("SIGTERM");
    const force = setTimeout(() => this.child.kill("SIGKILL"), 6000);
    await gone;
    clearTimeout(force);
  }
}
