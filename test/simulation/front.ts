// What clients see of one process of a simulated cluster: the handlers of their calls about lite topics, over what is
// served there, with telemetry streams and other brokers as that process reaches them.
import { messagingService, type rocketmq } from "@cometmq/proto";
import { silentLogger } from "../../base/index.ts";
import { ClientTable } from "../../broker/clients/index.ts";
import { Cluster } from "../../broker/cluster/cluster.ts";
import type { Forwarder } from "../../broker/cluster/index.ts";
import type { LocalParts } from "../../broker/remoting/context.ts";
import { Traffic } from "../../broker/remoting/index.ts";
import { syncLiteSubscription } from "../../broker/remoting/sync-lite-subscription.ts";
import { telemetry } from "../../broker/remoting/telemetry.ts";
import { TestBidi, TestConnection, TestStream } from "../../broker/remoting/testkit/index.ts";
import type { Replica } from "../../broker/replica.ts";
import type { BrokerSeen, TopicHolder } from "../../registrar/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import type { Life, Machine } from "./machine.ts";

const { Telemetry } = messagingService.methods;
const callTimeoutMs = 10_000;

type Headers = Readonly<Record<string, string>>;

/** A call, as it comes to a process. */
export interface IncomingRequest {
  readonly request: Uint8Array;
  readonly headers: Headers;
  /** A client or a machine. */
  readonly from: string;
}

/** Who hears of a telemetry stream. */
interface StreamEars {
  /** Something is written to it. */
  readonly told: (command: Uint8Array) => void;
  /** It is over. */
  readonly ended: () => void;
}

/** What a process has around it. */
export interface FrontSurroundings {
  readonly forwarder: Forwarder;
  /** What NameServers say: all brokers, and those that hold a topic. */
  brokers(): readonly BrokerSeen[];
  holders(topic: string): readonly TopicHolder[];
  /** What is served, with an ear in between. */
  heard(local: NonNullable<Replica["local"]>): LocalParts;
}

/** One process, until it ends. */
export class Front {
  readonly machine: Machine;
  readonly #life: Life;
  readonly #sync: MethodHandler;
  readonly #telemetry: MethodHandler;
  readonly #connections = new Map<string, TestConnection>();

  constructor(machine: Machine, life: Life, replica: Replica, around: FrontSurroundings) {
    this.machine = machine;
    this.#life = life;
    const { config } = replica.options;
    const { clock } = life;
    const local = (): LocalParts | undefined => replica.local && around.heard(replica.local);
    const standing = (): Replica["standing"] => replica.standing;
    const registrar = {
      askTopic: (topic: string) => [answer(around.holders(topic))],
      askBrokers: () => [answer(around.brokers())],
      mastersSeen: () => [],
    };
    const { forwarder } = around;
    const context = {
      config,
      local,
      standing,
      cluster: new Cluster({ registrar, config, clock, local, standing, forwarder }),
      // Clients of a simulation fall silent only together with it.
      clients: new ClientTable({ clock, logger: silentLogger, onGone: () => {} }),
      traffic: new Traffic(),
      clock,
      logger: silentLogger,
      listenPort: () => 1,
      isStopping: () => false,
    };
    this.#sync = syncLiteSubscription(context);
    this.#telemetry = telemetry(context);
  }

  /** Whether its process runs, and does not stand still. */
  get isAwake(): boolean {
    return this.machine.life === this.#life && !this.#life.isPaused;
  }

  /** SyncLiteSubscription. */
  async sync(call: IncomingRequest): Promise<Uint8Array> {
    if (this.#sync.kind !== "unary") throw new Error("it has one answer");
    const remainingMs = callTimeoutMs;
    const stream = new TestStream({ ...this.#callOf(call), remainingMs });
    return await this.#sync.handle(call.request, stream);
  }

  /** Opens a telemetry stream. */
  talk(call: IncomingRequest, { told, ended }: StreamEars): TestBidi {
    if (this.#telemetry.kind !== "bidi") throw new Error("it goes both ways");
    const stream = new HeardStream(this.#callOf(call), told);
    stream.say(call.request);
    Promise.resolve(this.#telemetry.handle(stream)).then(ended, ended);
    return stream;
  }

  /** Says one thing on a stream, and gives the first answer. */
  exchange(call: IncomingRequest): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const stream = this.talk(call, {
        told: (command) => {
          resolve(command);
          stream.hangUp();
        },
        ended: () => reject(new Error("the stream has ended without an answer")),
      });
    });
  }

  #callOf({ headers, from }: IncomingRequest): {
    readonly headers: Headers;
    readonly connection: TestConnection;
  } {
    const connection = this.#connections.get(from) ?? new TestConnection();
    this.#connections.set(from, connection);
    return { headers, connection };
  }
}

/** The bytes that a consumer of lite topics says first on its stream. */
export function liteSettings(group: string, topic: string): Uint8Array {
  const subscriptions: rocketmq.v2.ISubscriptionEntry[] = [
    { topic: { name: topic }, expression: { type: 1, expression: "*" } },
  ];
  const settings = { clientType: 5, subscription: { group: { name: group }, subscriptions } };
  return Telemetry.request.encode({ settings });
}

class HeardStream extends TestBidi {
  readonly #told: (command: Uint8Array) => void;

  constructor(
    call: ConstructorParameters<typeof TestBidi>[0],
    told: (command: Uint8Array) => void,
  ) {
    super(call);
    this.#told = told;
  }

  override write(command: Uint8Array): boolean {
    this.#told(command);
    return true;
  }
}

async function answer<Seen extends BrokerSeen>(
  brokers: readonly Seen[],
): Promise<{
  readonly address: string;
  readonly brokers: readonly Seen[];
  readonly isSettled: boolean;
}> {
  return { address: "ns:1", brokers, isSettled: true };
}
