// One process of a cluster on this machine: how it is started, when it is ready, what of its log people must see, and
// how it ends.
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, type WriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { type Launch, shellText } from "./launch.ts";

/** How a process ended, as people read it: `exit code 1` or `signal SIGKILL`. */
export type Ending = string;

/** What the owner hears. */
export interface ProcessEvents {
  /** A warning or an error of its log. */
  noted(name: string, line: string): void;
}

const healthPeriodMs = 100;
const lastLinesKept = 8;

/** A started process. */
export class ClusterProcess {
  readonly launch: Launch;
  readonly logFile: string;
  /** Resolves when it has ended, whatever the reason. */
  readonly ended: Promise<Ending>;
  /** The last lines of its log. */
  readonly lastLines: string[] = [];
  readonly #child: ChildProcess;
  readonly #log: WriteStream;
  #ending: Ending | undefined;
  #readyLine: ((line: string) => void) | undefined;

  constructor(launch: Launch, logFile: string, events: ProcessEvents) {
    this.launch = launch;
    this.logFile = logFile;
    this.#log = createWriteStream(logFile, { flags: "a" });
    // A full disk must not end the one who is to say so.
    this.#log.on("error", () => {});
    this.#log.write(`\n$ ${shellText(launch)}\n`);
    this.#child = spawn(launch.command, launch.args, {
      env: environment(),
      stdio: ["ignore", "pipe", "pipe"],
      // Ctrl-C of the terminal is for the one process that ends them in order.
      detached: true,
    });
    this.ended = new Promise((resolve) => {
      const end = (ending: Ending): void => {
        this.#ending ??= ending;
        this.#log.end();
        resolve(this.#ending);
      };
      this.#child.once("error", (error) => end(error.message));
      this.#child.once("close", (code, signal) => {
        end(signal === null ? `exit code ${code}` : `signal ${signal}`);
      });
    });
    this.#read(events);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** How it ended; undefined while it runs. */
  get ending(): Ending | undefined {
    return this.#ending;
  }

  /** Resolves with its addresses when it serves. Rejects when it ends before, or when `signal` says so. */
  async ready(signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    const { healthAddress, addresses } = this.launch;
    const over = this.ended.then((ending) => {
      throw new Error(`ended before it was ready: ${ending}`);
    });
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(new Error("not ready")), { once: true });
    });
    const ready =
      healthAddress === undefined ? this.#readyLineAddresses() : healthy(healthAddress, signal);
    return { ...addresses, ...(await Promise.race([ready, over, aborted])) };
  }

  /** Asks it to end; ends it when it has not after `graceMs`. Resolves with true when it had to be. */
  async stop(graceMs: number): Promise<boolean> {
    this.#signal("SIGTERM");
    const late = Symbol("late");
    const timer = new AbortController();
    const first = await Promise.race([
      this.ended,
      sleep(graceMs, late, { signal: timer.signal }).catch(() => late),
    ]);
    timer.abort();
    if (first !== late) return false;
    this.kill();
    await this.ended;
    return true;
  }

  /** Ends it at once. */
  kill(): void {
    this.#signal("SIGKILL");
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#ending === undefined) this.#child.kill(signal);
  }

  #read(events: ProcessEvents): void {
    const { stdout, stderr } = this.#child;
    if (stdout === null || stderr === null) throw new Error("no pipes to the process");
    createInterface({ input: stdout }).on("line", (line) => {
      this.#log.write(`${line}\n`);
      if (line.startsWith("ready ")) this.#readyLine?.(line);
    });
    const notable = this.launch.kind === "etcd" ? notableOfEtcd : notableOfOurs;
    createInterface({ input: stderr }).on("line", (line) => {
      this.#log.write(`${line}\n`);
      this.lastLines.push(line);
      if (this.lastLines.length > lastLinesKept) this.lastLines.shift();
      const said = notable(line);
      if (said !== undefined) events.noted(this.launch.name, said);
    });
  }

  #readyLineAddresses(): Promise<Readonly<Record<string, string>>> {
    return new Promise((resolve) => {
      this.#readyLine = (line) => {
        const pairs = line.split(" ").slice(1);
        const named = pairs.map((pair): [string, string] => {
          const [name = "", value = ""] = pair.split(/=(.*)/s);
          return [name, value];
        });
        resolve(Object.fromEntries(named.filter(([name]) => name !== "pid")));
      };
    });
  }
}

/** The environment, without what would overrule the configuration files. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) =>
      name !== "NAMESRV_ADDR" && !name.startsWith("COMETMQ_") && !name.startsWith("ETCD_"),
  );
  return Object.fromEntries(kept);
}

/** A line of our log when people must see it: warnings, errors, and what is no line of the log at all. */
function notableOfOurs(line: string): string | undefined {
  const match = /^\d{4}-\d\d-\d\dT\S+ (\w+) +(.*)$/.exec(line);
  if (match === null) return line.trim() === "" ? undefined : line;
  const [, level = "", text = ""] = match;
  return level === "WARN" || level === "ERROR" ? `${level} ${text}` : undefined;
}

/** etcd warns a lot while its members find each other; its errors matter. */
function notableOfEtcd(line: string): string | undefined {
  const level = /"level":"(\w+)"/.exec(line)?.[1] ?? "";
  return ["error", "fatal", "panic"].includes(level) ? line : undefined;
}

async function healthy(
  address: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  while (!signal.aborted) {
    try {
      const answer = await fetch(`http://${address}/health`, { signal });
      if (answer.ok && (await answer.text()).includes("true")) return {};
    } catch {
      // Not yet.
    }
    await sleep(healthPeriodMs);
  }
  throw new Error("not ready");
}
