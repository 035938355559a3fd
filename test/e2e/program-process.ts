// One of our programs as its user runs it: a process of its own, what it prints, how it ends.
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { until } from "./waiting.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** How a program ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

const all = new Set<ProgramProcess>();

/** A process of `bin/NAME`. */
export class ProgramProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = "";
  stderr = "";

  constructor(command: string, args: readonly string[], options: { readonly cwd?: string } = {}) {
    const environment = { ...process.env };
    delete environment["NAMESRV_ADDR"];
    this.child = spawn(command, args, {
      cwd: options.cwd ?? root,
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.child.stdout?.on("data", (bytes: Buffer) => {
      this.stdout += bytes.toString();
    });
    this.child.stderr?.on("data", (bytes: Buffer) => {
      this.stderr += bytes.toString();
    });
    this.ended = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        all.delete(this);
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
      });
    });
    all.add(this);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Whether it has ended. */
  get isOver(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Waits for the `ready` line and gives its addresses by name. */
  async ready(): Promise<Readonly<Record<string, string>>> {
    await until("the ready line", () => this.isOver || /^ready .*\n/m.test(this.stdout), 20_000);
    const line = /^ready (.*)$/m.exec(this.stdout)?.[1];
    if (line === undefined) throw new Error(`ended before it was ready: ${this.stderr}`);
    return Object.fromEntries(
      line.split(" ").map((part): [string, string] => {
        const [name = "", value = ""] = part.split(/=(.*)/s);
        return [name, value];
      }),
    );
  }

  /** Asks it to stop, waits for its end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<Ended> {
    if (!this.isOver) this.child.kill(signal);
    return await this.ended;
  }
}

/** Starts `bin/NAME` as a shell would. */
export function run(name: string, ...args: string[]): ProgramProcess {
  return new ProgramProcess(`${root}/bin/${name}`, args);
}

/** Ends what a test has left running. */
export async function stopAll(): Promise<void> {
  await Promise.all(
    [...all].map(async (program) => {
      program.child.kill("SIGKILL");
      await program.ended;
    }),
  );
}
