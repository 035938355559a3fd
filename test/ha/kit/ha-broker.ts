// One broker of a group as an operator runs it: a process with a folder, killed, stopped, continued and started again
// on the same ports.
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brokerAdminService, type cometmq } from "@cometmq/proto";
import { type Ended, ProgramProcess } from "../../e2e/program-process.ts";
import { RawClient } from "../../e2e/raw-client.ts";
import { until } from "../../e2e/waiting.ts";

const mqbroker = fileURLToPath(new URL("../../../bin/mqbroker", import.meta.url));

/** Flags of mqbroker by their name, without dashes. */
export type Settings = Readonly<Record<string, string>>;

/** What a broker is started with. */
export interface BrokerPlan {
  readonly brokerName: string;
  readonly brokerId: number;
  readonly settings?: Settings;
  /** Where it runs, when not on the loopback of this machine. */
  readonly place?: BrokerPlace;
}

/** A network of its own for a broker. */
export interface BrokerPlace {
  /** Its address, reachable from here. */
  readonly host: string;
  /** What runs a command there. */
  readonly command: readonly string[];
}

/** A broker of a test. */
export class HaBroker {
  readonly brokerName: string;
  readonly brokerId: number;
  readonly folder: string;
  /** Standard error of all its lives. */
  complaints = "";
  readonly #place: BrokerPlace;
  #settings: Settings;
  #nameServers: string;
  #process: ProgramProcess | undefined;
  #ports: Settings = {
    grpcServerPort: "0",
    haListenPort: "0",
    metricsPromExporterPort: "0",
  };
  #client: RawClient | undefined;

  constructor(plan: BrokerPlan, given: { readonly folder: string; readonly nameServers: string }) {
    this.brokerName = plan.brokerName;
    this.brokerId = plan.brokerId;
    this.folder = given.folder;
    this.#nameServers = given.nameServers;
    this.#settings = plan.settings ?? {};
    this.#place = plan.place ?? { host: "127.0.0.1", command: [] };
  }

  /** `a-0`. */
  get label(): string {
    return `${this.brokerName}-${this.brokerId}`;
  }

  /** `host:port` for clients, once it has been ready. */
  get address(): string {
    return `${this.#place.host}:${this.#ports["grpcServerPort"]}`;
  }

  get isOver(): boolean {
    return this.#process?.isOver ?? true;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** What it said on standard error since its last start. */
  get said(): string {
    return this.#process?.stderr ?? "";
  }

  /** When it said something last since its last start, by the clock of `performance.now()`. Throws when it did not. */
  saidAt(words: string): number {
    const line = this.said.split("\n").findLast((one) => one.includes(words));
    const at = Date.parse(line?.split(" ")[0] ?? "");
    if (Number.isNaN(at)) throw new Error(`${this.label} has not said "${words}"`);
    return at - performance.timeOrigin;
  }

  /** Starts it, on the ports of its last life if it had one; `changes` stay. */
  launch(changes: Settings = {}): ProgramProcess {
    this.#settings = { ...this.#settings, ...changes };
    const settings = {
      brokerName: this.brokerName,
      brokerId: String(this.brokerId),
      storePathRootDir: this.folder,
      bindAddress: this.#place.host,
      ...this.#ports,
      ...this.#settings,
    };
    const flags = Object.entries(settings).flatMap(([key, value]) => [`--${key}`, value]);
    const command = [...this.#place.command, mqbroker, "-n", this.#nameServers, ...flags];
    this.#process = new ProgramProcess(command[0] ?? mqbroker, command.slice(1));
    return this.#process;
  }

  /** Starts it and waits until it is ready. */
  async start(changes: Settings = {}): Promise<void> {
    const addresses = await this.launch(changes).ready();
    const portOf = (name: string): string => addresses[name]?.split(":").at(-1) ?? "0";
    this.#ports = {
      grpcServerPort: portOf("grpc"),
      haListenPort: portOf("ha"),
      metricsPromExporterPort: portOf("metrics"),
    };
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<Ended | undefined> {
    return await this.#end("SIGKILL");
  }

  /** SIGTERM; resolves when it is gone. */
  async stop(): Promise<Ended | undefined> {
    return await this.#end("SIGTERM");
  }

  /** The process stands still, or goes on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.child.kill(signal);
  }

  /** A new, empty disk. */
  async loseDisk(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  /** What it says of its replication; undefined while it does not answer. */
  async status(): Promise<cometmq.v1.HaStatus | undefined> {
    try {
      const { GetHaStatus } = brokerAdminService.methods;
      this.#client ??= new RawClient(this.address, "raw@status");
      const { ha } = await this.#client.call(GetHaStatus, {});
      return ha ?? undefined;
    } catch {
      return undefined;
    }
  }

  /** Waits until it says that it is what `standing` names. */
  async stands(standing: string, withinMs = 20_000): Promise<void> {
    const isThere = async (): Promise<boolean> => (await this.status())?.standing === standing;
    await until(`${this.label} to be ${standing}`, isThere, withinMs);
  }

  /** Bytes of the segments of its log, by the name of the file, as they are on the disk now. */
  async segments(): Promise<ReadonlyMap<string, Buffer>> {
    const folder = join(this.folder, "commitlog");
    const names = (await readdir(folder)).filter((name) => /^\d+$/.test(name)).sort();
    const bytes = await Promise.all(names.map((name) => readFile(join(folder, name))));
    return new Map(names.map((name, index) => [name, bytes[index] ?? Buffer.alloc(0)]));
  }

  async close(): Promise<void> {
    this.#client?.close();
    this.#process?.child.kill("SIGCONT");
    await this.kill();
  }

  async #end(signal: NodeJS.Signals): Promise<Ended | undefined> {
    const ended = await this.#process?.stop(signal);
    this.complaints += ended?.stderr ?? "";
    return ended;
  }
}
