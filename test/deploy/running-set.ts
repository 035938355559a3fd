// A configuration set as `npm run cluster` runs it, on free ports and in a folder of its own, with a client's traffic.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type MessageView, Producer, SimpleConsumer } from "@cometmq/client";
import { mqadminJson } from "../e2e/mqadmin-run.ts";
import { ProgramProcess } from "../e2e/program-process.ts";
import { until } from "../e2e/waiting.ts";

const program = fileURLToPath(new URL("../../dist/deploy/main.js", import.meta.url));
const startMaxMs = 90_000;
const wholeMaxMs = 60_000;
const receiversCount = 64;

/** Where a process of the set serves. */
export interface RunningProcess {
  readonly pid: number;
  readonly addresses: Readonly<Record<string, string>>;
}

/** A row of clusterList. */
export interface ListedBroker {
  readonly name: string;
  readonly id: number;
  readonly role: string;
  readonly inSync: boolean | null;
  readonly behindBytes: number | null;
  readonly address: string;
}

/** A running set. */
export class RunningSet {
  readonly runner: ProgramProcess;
  readonly folder: string;
  readonly #restarted: ProgramProcess[] = [];

  private constructor(runner: ProgramProcess, folder: string) {
    this.runner = runner;
    this.folder = folder;
  }

  /** Starts one; resolves when all of its processes serve. */
  static async start(name: string, folder?: string): Promise<RunningSet> {
    const data = folder ?? (await mkdtemp(join(tmpdir(), `deploy-${name}-`)));
    const args = [program, name, "--data", data, "--base-port", "0"];
    const set = new RunningSet(new ProgramProcess(process.execPath, args), data);
    const { runner } = set;
    // The last line it prints once all serve.
    const isUp = () => runner.isOver || set.nameServers !== "";
    try {
      await until(`the set ${name}`, isUp, startMaxMs);
      assert.ok(!runner.isOver, `${runner.stdout}\n${runner.stderr}`);
    } catch (error) {
      await set.clear();
      throw error;
    }
    return set;
  }

  /** A process by its name. */
  process(name: string): RunningProcess {
    const line = new RegExp(`^${name} +ready +(.*?) +pid (\\d+)$`, "m").exec(this.runner.stdout);
    if (line === null) throw new Error(`no process ${name} in:\n${this.runner.stdout}`);
    const pairs = (line[1] ?? "").split(" ").map((pair): [string, string] => {
      const [key = "", value = ""] = pair.split("=");
      return [key, value];
    });
    return { pid: Number(line[2]), addresses: Object.fromEntries(pairs) };
  }

  /** Names of its processes. */
  get names(): readonly string[] {
    return [...this.runner.stdout.matchAll(/^(\S+) +ready /gm)].map(([, name]) => name ?? "");
  }

  /** The name of the process that serves at `address`. */
  nameAt(address: string): string {
    const found = this.names.find((name) =>
      Object.values(this.process(name).addresses).includes(address),
    );
    return found ?? assert.fail(`nobody serves at ${address}`);
  }

  /** All NameServers, as clients and mqadmin take them. */
  get nameServers(): string {
    return /mqadmin clusterList -n '([^']+)'/.exec(this.runner.stdout)?.[1] ?? "";
  }

  /** Kills a process, and waits until the runner has said so, loudly. */
  async kill(name: string): Promise<void> {
    const before = this.#deaths(name).length;
    process.kill(this.process(name).pid, "SIGKILL");
    await until(`the alarm for ${name}`, () => this.#deaths(name).length > before);
  }

  /** Starts a killed process again, by the command that the runner has shown. */
  async restart(name: string): Promise<ProgramProcess> {
    const command = new RegExp(
      `^!!! ${name} .*HAS ENDED.*\\n.*Start it again with:\\n +(.*)$`,
      "m",
    ).exec(this.runner.stderr)?.[1];
    assert.ok(command, this.runner.stderr);
    const again = new ProgramProcess("/bin/sh", ["-c", `exec ${command}`]);
    this.#restarted.push(again);
    await again.ready();
    return again;
  }

  /** Runs mqadmin, which must succeed. */
  mqadmin<T>(...args: readonly string[]): Promise<T> {
    return mqadminJson<T>(this.nameServers, ...args);
  }

  /** What clusterList says. */
  brokers(): Promise<readonly ListedBroker[]> {
    return this.mqadmin<readonly ListedBroker[]>("clusterList");
  }

  /** Makes a topic on all masters and waits until every NameServer has its route. */
  async makeTopic(topic: string): Promise<void> {
    await until("masters of both names", async () => (await this.masters()).length > 0);
    await this.mqadmin("updateTopic", "-c", "DefaultCluster", "-t", topic, "-r", "4", "-w", "4");
    const masters = (await this.masters()).length;
    for (const nameServer of this.nameServers.split(";")) {
      await until(`the route at ${nameServer}`, async () => {
        const route = await mqadminJson<object[]>(nameServer, "topicRoute", "-t", topic).catch(
          () => [],
        );
        return route.length === masters;
      });
    }
  }

  /** Brokers that rule now. */
  async masters(): Promise<readonly ListedBroker[]> {
    return (await this.brokers()).filter(({ role }) => role === "master");
  }

  /** Waits until the NameServers list so many masters and slaves, all in sync and none behind. */
  async whole(expected: { readonly masters: number; readonly slaves: number }): Promise<void> {
    let last: readonly ListedBroker[] = [];
    const isWhole = async (): Promise<boolean> => {
      last = await this.brokers();
      const count = (role: string): number => last.filter((one) => one.role === role).length;
      const isCaughtUp = last.every(({ inSync, behindBytes }) => inSync && behindBytes === 0);
      return (
        count("master") === expected.masters && count("slave") === expected.slaves && isCaughtUp
      );
    };
    await until("the whole cluster", isWhole, wholeMaxMs).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(last, null, 1)}\n${this.runner.stderr}`);
    });
  }

  /** Ends it as Ctrl-C does; it must end well. */
  async stop(): Promise<void> {
    for (const one of this.#restarted) await one.stop();
    const { code, stdout, stderr } = await this.runner.stop("SIGINT");
    assert.equal(code, 0, `${stdout}\n${stderr}`);
    for (const name of this.names) assert.ok(!isAlive(this.process(name).pid), `${name} lives`);
  }

  /** Ends whatever is left, and removes the data. */
  async clear(): Promise<void> {
    for (const one of this.#restarted) await one.stop("SIGKILL");
    if (!this.runner.isOver) {
      this.runner.child.kill("SIGTERM");
      await this.runner.ended;
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  #deaths(name: string): readonly string[] {
    return this.runner.stderr.match(new RegExp(`^!!! ${name} .*HAS ENDED.*$`, "gm")) ?? [];
  }
}

/** Sends numbered messages and receives them, and knows which were acknowledged. */
export class Traffic {
  readonly topic: string;
  readonly acknowledged: Set<string> = new Set();
  /** How often each was received. */
  readonly received: Map<string, number> = new Map();
  /** Messages that came again after their acknowledgement had been accepted. */
  readonly redelivered: string[] = [];
  readonly #settled = new Set<string>();
  readonly #producer: Producer;
  readonly #consumer: SimpleConsumer;
  #next = 0;

  private constructor(topic: string, clients: { producer: Producer; consumer: SimpleConsumer }) {
    this.topic = topic;
    this.#producer = clients.producer;
    this.#consumer = clients.consumer;
  }

  /** Connects both clients through `endpoints`. */
  static async start(topic: string, endpoints: string): Promise<Traffic> {
    const producer = new Producer({ endpoints, topics: [topic] });
    await producer.startup();
    const subscriptions = new Map([[topic, "*"]]);
    const consumerGroup = `${topic}-group`;
    // Brokers take turns: an idle one must not hold a receive for long.
    const awaitDuration = 5_000;
    const options = { endpoints, consumerGroup, subscriptions, awaitDuration };
    const consumer = new SimpleConsumer(options);
    await consumer.startup();
    return new Traffic(topic, { producer, consumer });
  }

  /** Sends `count` messages, some at a time; gives how many were refused in the end. */
  async send(count: number): Promise<number> {
    let refused = 0;
    const one = async (body: string): Promise<void> => {
      try {
        await this.#producer.send({ topic: this.topic, body: Buffer.from(body) });
        this.acknowledged.add(body);
      } catch {
        refused += 1;
      }
    };
    for (let left = count; left > 0; left -= 20) {
      const bodies = Array.from({ length: Math.min(20, left) }, () => `message ${this.#next++}`);
      await Promise.all(bodies.map(one));
    }
    return refused;
  }

  /** Sends until `isOver`; gives how many were refused in the end. */
  async sendUntil(isOver: () => boolean): Promise<number> {
    let refused = 0;
    while (!isOver()) refused += await this.send(20);
    return refused;
  }

  /** Receives and acknowledges until everything that was acknowledged has come. */
  async receiveAll(timeoutMs = 60_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    // Brokers take turns in each: one whose queues are empty must not hold up all of them.
    await Promise.all(Array.from({ length: receiversCount }, () => this.#receiveUntil(deadline)));
    const missing = this.#missing();
    assert.ok(missing === 0, `${missing} of ${this.acknowledged.size} have not come`);
  }

  async #receiveUntil(deadline: number): Promise<void> {
    while (this.#missing() > 0 && Date.now() < deadline) {
      const signal = AbortSignal.timeout(Math.max(1, deadline - Date.now()));
      try {
        const messages = await this.#consumer.receive(32, 10_000, { signal });
        await Promise.all(messages.map((message) => this.#take(message)));
      } catch {
        // A broker that is gone: the next receive finds another, or this one again.
      }
    }
  }

  #missing(): number {
    let count = 0;
    for (const body of this.acknowledged) if (!this.received.has(body)) count += 1;
    return count;
  }

  /** Receives for a while and expects nothing new; what comes is counted as what it is. */
  async receiveFor(ms: number): Promise<void> {
    const deadline = Date.now() + ms;
    while (Date.now() < deadline) {
      const messages = await this.#consumer.receive(32, 10_000);
      await Promise.all(messages.map((message) => this.#take(message)));
    }
  }

  async #take(message: MessageView): Promise<void> {
    const body = message.body.toString();
    this.received.set(body, (this.received.get(body) ?? 0) + 1);
    if (this.#settled.has(body)) this.redelivered.push(body);
    await this.#consumer.ack(message);
    this.#settled.add(body);
  }

  async close(): Promise<void> {
    await this.#producer.shutdown();
    await this.#consumer.shutdown();
  }
}

/** Whether a process of this id is there. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
