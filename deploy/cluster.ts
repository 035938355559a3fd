// A whole set of processes on this machine: started in order, watched, ended in order.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { ClusterProcess } from "./cluster-process.ts";
import type { DeploymentSet } from "./deployment-set.ts";
import { etcdLaunch, type Launch, serverLaunch, shellText } from "./launch.ts";
import { shownPath } from "./places.ts";
import type { PortMap } from "./port-plan.ts";

const readyMaxMs = 60_000;
const stopMaxMs = 10_000;

/** What a cluster stands on. */
export interface ClusterOptions {
  readonly set: DeploymentSet;
  readonly ports: PortMap;
  readonly dataFolder: string;
  /** Needed when the set has etcd. */
  readonly etcdProgram: string | undefined;
  /** One line for people; `alarm` for what went wrong. */
  readonly say: (line: string) => void;
  readonly alarm: (line: string) => void;
}

/** A cluster that could not start; why has been said. */
export class StartFailure extends Error {
  override readonly name = "StartFailure";
}

function isNameServer({ kind }: Launch): boolean {
  return kind === "mqnamesrv";
}

/** A running cluster. */
export class Cluster {
  readonly #options: ClusterOptions;
  readonly #processes: ClusterProcess[] = [];
  readonly #addresses = new Map<string, Readonly<Record<string, string>>>();
  readonly #nameWidth: number;
  #isStarting = true;
  #isStopping = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { etcd, servers } = options.set;
    this.#nameWidth = Math.max(...[...etcd, ...servers].map(({ name }) => name.length));
  }

  /** Starts everything; resolves when all of it serves. Throws StartFailure when something does not: call `stop` then. */
  async start(signal: AbortSignal): Promise<void> {
    const { set, ports, dataFolder, etcdProgram } = this.#options;
    mkdirSync(dataFolder, { recursive: true });
    if (etcdProgram !== undefined) {
      const place = { program: etcdProgram, ports, dataFolder };
      await this.#startAll(
        set.etcd.map((plan) => etcdLaunch(plan, set, place)),
        signal,
      );
    }
    // Brokers look for NameServers at once; a master looks for its slaves, so these start together.
    const launches = set.servers.map((plan) => serverLaunch(plan, ports, dataFolder));
    await this.#startAll(launches.filter(isNameServer), signal);
    await this.#startAll(
      launches.filter((launch) => !isNameServer(launch)),
      signal,
    );
    this.#isStarting = false;
  }

  /** The addresses of one kind, of all processes that have it. */
  addresses(kind: string): readonly string[] {
    return this.#processes.flatMap(({ launch }) => this.#addresses.get(launch.name)?.[kind] ?? []);
  }

  /** How many processes run. */
  get count(): number {
    return this.#processes.filter(({ ending }) => ending === undefined).length;
  }

  /** Resolves when no process is left. */
  async allEnded(): Promise<void> {
    await Promise.all(this.#processes.map(({ ended }) => ended));
  }

  /** Ends all: slaves, masters, NameServers, etcd. May be called while it starts. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const ranks = [...new Set(this.#processes.map(({ launch }) => launch.endRank))].toSorted(
      (one, other) => one - other,
    );
    for (const rank of ranks) {
      const some = this.#processes.filter(({ launch }) => launch.endRank === rank);
      await Promise.all(some.map((one) => this.#stopOne(one)));
    }
  }

  /** Ends all at once, out of order. */
  kill(): void {
    this.#isStopping = true;
    for (const one of this.#processes) one.kill();
  }

  async #startAll(launches: readonly Launch[], signal: AbortSignal): Promise<void> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(readyMaxMs)]);
    const started = launches.map((launch) => this.#startOne(launch));
    const outcomes = await Promise.allSettled(
      started.map(async (one) => {
        const addresses = await one.ready(limit);
        this.#addresses.set(one.launch.name, addresses);
        const shown = Object.entries(addresses).map(([name, address]) => `${name}=${address}`);
        this.#options.say(`${this.#label(one)}ready  ${shown.join(" ")}  pid ${one.pid}`);
      }),
    );
    if (signal.aborted) throw new StartFailure("stopped while it started");
    for (const [index, outcome] of outcomes.entries()) {
      const one = started[index];
      if (outcome.status === "fulfilled" || one === undefined || one.ending !== undefined) continue;
      this.#options.alarm(
        `${this.#label(one)}NOT READY after ${readyMaxMs / 1000} s. Log: ${shownPath(one.logFile)}`,
      );
    }
    if (outcomes.some(({ status }) => status === "rejected"))
      throw new StartFailure("not all start");
  }

  #startOne(launch: Launch): ClusterProcess {
    const { dataFolder, alarm } = this.#options;
    const logFile = join(dataFolder, `${launch.name}.log`);
    const one = new ClusterProcess(launch, logFile, {
      noted: (name, line) => alarm(`${name.padEnd(this.#nameWidth)}  ${line}`),
    });
    this.#processes.push(one);
    void one.ended.then((ending) => this.#ended(one, ending));
    return one;
  }

  #ended(one: ClusterProcess, ending: string): void {
    const { alarm, say } = this.#options;
    if (this.#isStopping) {
      say(`${this.#label(one)}ended  ${ending}`);
      return;
    }
    const log = shownPath(one.logFile);
    alarm(`!!! ${one.launch.name} (pid ${one.pid}) HAS ENDED: ${ending}. Its log: ${log}`);
    if (this.#isStarting) {
      for (const line of one.lastLines) alarm(`    ${line}`);
      return;
    }
    alarm(`    ${this.count} of ${this.#processes.length} processes go on. Start it again with:`);
    alarm(`    ${shellText(one.launch)}`);
  }

  async #stopOne(one: ClusterProcess): Promise<void> {
    const isForced = await one.stop(stopMaxMs);
    if (isForced) {
      this.#options.alarm(
        `${this.#label(one)}did not end within ${stopMaxMs / 1000} s and was killed`,
      );
    }
  }

  #label({ launch }: ClusterProcess): string {
    return `${launch.name.padEnd(this.#nameWidth)}  `;
  }
}
