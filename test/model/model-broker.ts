// One broker with all its services and handlers in this process: simulated time and disk, no sockets. Its process may be
// ended, killed, or lose its power, and starts again on the same disk.
import { MemoryLevel } from "memory-level";
import { type BrokerConfig, brokerRole, Configuration, silentLogger } from "../../base/index.ts";
import { ClientTable } from "../../broker/clients/index.ts";
import { Cluster } from "../../broker/cluster/index.ts";
import { FixedRole } from "../../broker/fixed-role.ts";
import { ProcessClock, VirtualTime } from "../../broker/ha/election/testkit/virtual-time.ts";
import { SimulatedNetwork } from "../../broker/ha/testkit/simulated-network.ts";
import { levelEncodings } from "../../broker/metadata/index.ts";
import { noPeers } from "../../broker/peers.ts";
import { messagingMethods, orphanedTransactions, Traffic } from "../../broker/remoting/index.ts";
import { TestBidi, TestConnection, TestStream } from "../../broker/remoting/testkit/index.ts";
import { type LocalParts, Replica } from "../../broker/replica.ts";
import type { Disk } from "../../broker/store/index.ts";
import { SimulatedDisk } from "../../broker/store/testkit/simulated-disk.ts";
import type { MethodHandler } from "../../transport/index.ts";
import type { SeededRandom } from "../simulation/seeded-random.ts";

/** How a broker is run. */
export interface ModelBrokerOptions {
  readonly random: SeededRandom;
  readonly flush: "SYNC_FLUSH" | "ASYNC_FLUSH";
  /** How long an operation of the disk takes at most, milliseconds; 0: no time at all. */
  readonly diskMaxMs: number;
  /** Messages of all groups that are out, at most. */
  readonly pendingTotalMax: number;
  readonly settings: Readonly<Record<string, string>>;
}

interface Life {
  readonly clock: ProcessClock;
  readonly replica: Replica;
  readonly role: FixedRole;
  readonly clients: ClientTable;
  readonly cluster: Cluster;
  readonly methods: ReadonlyMap<string, MethodHandler>;
}

/** A broker that is seen as clients see it. */
export class ModelBroker {
  readonly time: VirtualTime = new VirtualTime();
  readonly #clock = new ProcessClock(this.time);
  readonly #options: ModelBrokerOptions;
  readonly #disk = new SimulatedDisk();
  readonly #network: SimulatedNetwork;
  #level = new MemoryLevel<string, Uint8Array>(levelEncodings);
  #lives = 0;
  /** Number of the process that runs; 0: none. */
  #process = 0;
  #life: Life | undefined;
  /** By client. */
  readonly #connections = new Map<string, TestConnection>();

  constructor(options: ModelBrokerOptions) {
    this.#options = options;
    this.#network = new SimulatedNetwork({ clock: this.#clock, random: options.random });
  }

  get nowMs(): number {
    return this.#clock.now();
  }

  get isServing(): boolean {
    return this.#life?.replica.local !== undefined;
  }

  /** Clients that it knows. */
  get clientCount(): number {
    return this.#life?.clients.count ?? 0;
  }

  /** What it serves, for what no client can say or see. Throws while it does not run. */
  get local(): LocalParts {
    const local = this.#life?.replica.local;
    if (local === undefined) throw new Error("the broker does not serve");
    return local;
  }

  /** Recovers and serves. */
  async start(): Promise<void> {
    this.#lives += 1;
    const { random, diskMaxMs } = this.#options;
    const number = this.#lives;
    this.#process = number;
    for (const connection of this.#connections.values()) connection.close();
    this.#connections.clear();
    const clock = new ProcessClock(this.time);
    this.#disk.pace = async () => {
      if (diskMaxMs === 0) return;
      await new Promise<void>((resolve) => {
        clock.after(0.01 + random.next() * diskMaxMs, resolve);
      });
    };
    this.#life = await this.time.run(this.#open(clock, number));
  }

  /** Ends as after SIGTERM. */
  async close(): Promise<void> {
    const life = this.#life;
    if (life === undefined) return;
    await this.time.run(closeAll(life));
    this.#life = undefined;
  }

  /** The process is gone; what it had written stays. */
  kill(): void {
    this.#life?.clock.kill();
    this.#life = undefined;
    this.#process = 0;
    this.#disk.kill();
  }

  /** The power is gone: what was not synced is lost, or parts of it. */
  cutPower(): void {
    this.kill();
    this.#disk.cutPower(
      this.#options.random.pick(["lost", "random", "garbled"]),
      this.#options.random,
    );
    this.#level = new MemoryLevel(levelEncodings);
  }

  /** A unary call; never answered when the process goes before. */
  async call(path: string, request: Uint8Array, clientId: string): Promise<Uint8Array> {
    const life = this.#life;
    const method = life?.methods.get(path);
    if (method?.kind !== "unary") throw new Error(`no unary method ${path}`);
    const answer = await method.handle(request, this.#stream(clientId));
    return await this.#arriving(answer, life);
  }

  /** A call that is answered with a stream; resolves with all frames when it is over. */
  async receive(
    path: string,
    request: Uint8Array,
    clientId: string,
  ): Promise<readonly Uint8Array[]> {
    const life = this.#life;
    const method = life?.methods.get(path);
    if (method?.kind !== "serverStream") throw new Error(`no streaming method ${path}`);
    const stream = this.#stream(clientId);
    await method.handle(request, stream);
    return await this.#arriving(stream.written, life);
  }

  /** Opens a telemetry stream. */
  telemetry(path: string, clientId: string): TestBidi {
    const method = this.#life?.methods.get(path);
    if (method?.kind !== "bidi") throw new Error(`no method with streams both ways ${path}`);
    const stream = new TestBidi({
      headers: { "x-mq-client-id": clientId, "x-mq-language": "JAVA" },
    });
    void method.handle(stream);
    return stream;
  }

  /** The connection of a client is gone; its next call opens another one. */
  disconnect(clientId: string): void {
    this.#connections.get(clientId)?.close();
    this.#connections.delete(clientId);
  }

  /** A call whose deadline leaves a receive no time to be held. */
  #stream(clientId: string): TestStream {
    const connection = this.#connections.get(clientId) ?? new TestConnection();
    this.#connections.set(clientId, connection);
    return new TestStream({
      headers: { "x-mq-client-id": clientId, "x-mq-language": "JAVA" },
      connection,
      remainingMs: 1_501,
    });
  }

  /** An answer that is on its way when the process goes does not come. */
  async #arriving<T>(answer: T, life: Life | undefined): Promise<T> {
    return this.#life === life ? answer : await new Promise<T>(() => {});
  }

  async #open(clock: ProcessClock, number: number): Promise<Life> {
    const config = this.#config();
    const clients = new ClientTable({
      clock,
      logger: silentLogger,
      onGone: (clientId, group) => {
        if (this.#process === number) replica.local?.delivery.clientGone(clientId, group);
      },
    });
    clients.start();
    const replica = await Replica.open({
      config,
      clock,
      random: this.#options.random,
      disk: this.#diskOf(number),
      logger: silentLogger,
      stateDatabase: {
        open: async () => {
          if (this.#level.status !== "open") await this.#level.open();
          return this.#level;
        },
        destroy: async () => {
          this.#level = new MemoryLevel(levelEncodings);
        },
      },
      index: false,
      network: this.#network.host("broker"),
      listen: undefined,
      instanceId: `broker/${number}`,
      grpcPort: () => 1,
      delivery: {
        isAlive: (clientId, group) => clients.isMember(clientId, group),
        renewMaxMs: () => config.values.renewMaxTimeMillis,
        pendingMax: config.values.popInflightMessageThreshold,
        pendingTotalMax: this.#options.pendingTotalMax,
      },
      producers: orphanedTransactions(clients),
    });
    const role = new FixedRole(replica, noPeers);
    const local = (): LocalParts | undefined => replica.local;
    const standing = (): Replica["standing"] => replica.standing;
    const cluster = new Cluster({ registrar: undefined, config, clock, local, standing });
    const methods = messagingMethods({
      config,
      local,
      standing,
      cluster,
      clients,
      traffic: new Traffic(),
      clock,
      logger: silentLogger,
      listenPort: () => 1,
      isStopping: () => false,
    });
    await role.start();
    return { clock, replica, role, clients, cluster, methods };
  }

  #config(): Configuration<BrokerConfig> {
    return Configuration.load(brokerRole, {
      flags: {
        brokerName: "broker-a",
        storePathRootDir: "/data",
        mappedFileSizeCommitLog: "65536",
        maxMessageSize: "4096",
        flushDiskType: this.#options.flush,
        ...this.#options.settings,
      },
    });
  }

  /** The disk as one process has it: when that is gone, nothing it asks for comes back. */
  #diskOf(number: number): Disk {
    return new Proxy<Disk>(this.#disk, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...parameters: readonly unknown[]) =>
          this.#process === number
            ? Reflect.apply(value, target, parameters)
            : new Promise(() => {});
      },
    });
  }
}

async function closeAll({ clients, role, replica, cluster, clock }: Life): Promise<void> {
  await role.leave();
  await role.close();
  await replica.close();
  cluster.close();
  clients.close();
  clock.kill();
}
