// Asks one NameServer what it knows of topics and of other brokers. The gRPC client is handed in, loaded by who needs
// it; the connection stays.
import { Code, cometmq, nameServerService } from "@cometmq/proto";
import type * as Grpc from "@grpc/grpc-js";
import { type Clock, limits, parseAddress } from "../base/index.ts";
import { type Duty, dutyOf } from "../route/index.ts";
import type { Asked, BrokerSeen, NameServerAnswer, TopicHolder } from "./registrar.ts";

const { BrokerDuty } = cometmq.v1;
const { ClusterList, QueryTopicRoute } = nameServerService.methods;

interface Question<Wish, Answer> {
  readonly path: string;
  readonly request: { encode(value: Wish): Uint8Array };
  readonly response: { decode(bytes: Uint8Array): Answer };
}

/** Questions to one NameServer. */
export class NameServerQuestions {
  readonly #address: string;
  readonly #clock: Clock;
  readonly #grpc: Pick<typeof Grpc, "Client" | "Metadata" | "credentials">;
  #client: Grpc.Client | undefined;
  #isClosed = false;

  constructor(options: {
    readonly address: string;
    readonly clock: Clock;
    readonly grpc: Pick<typeof Grpc, "Client" | "Metadata" | "credentials">;
  }) {
    this.#address = options.address;
    this.#clock = options.clock;
    this.#grpc = options.grpc;
  }

  /** Who holds a topic; undefined when there is no answer in time. Never rejects. */
  async askTopic(topic: string, timeoutMs: number): Asked<TopicHolder> {
    const answer = await this.#ask(QueryTopicRoute, { topic }, timeoutMs);
    const code = answer?.status?.code;
    if (answer === undefined || (code !== Code.OK && code !== Code.TOPIC_NOT_FOUND))
      return undefined;
    return this.#answer(
      answer.entries.map((entry) => readHolder(topic, entry)),
      answer.upMs,
    );
  }

  /** The live brokers of a name. As `askTopic`. */
  async askBrokers(brokerName: string, timeoutMs: number): Asked<BrokerSeen> {
    const answer = await this.#ask(ClusterList, { brokerName }, timeoutMs);
    if (answer?.status?.code !== Code.OK) return undefined;
    return this.#answer(answer.brokers.map(readBroker), answer.upMs);
  }

  /** Ends the connection; questions under way stay without an answer. */
  close(): void {
    this.#isClosed = true;
    this.#client?.close();
  }

  #answer<Seen extends BrokerSeen>(brokers: readonly Seen[], upMs: number): NameServerAnswer<Seen> {
    return { address: this.#address, brokers, isSettled: upMs >= limits.nameServerSettlingMs };
  }

  #ask<Wish, Answer>(
    method: Question<Wish, Answer>,
    wish: Wish,
    timeoutMs: number,
  ): Promise<Answer | undefined> {
    if (this.#isClosed) return Promise.resolve(undefined);
    const { Client, Metadata, credentials } = this.#grpc;
    this.#client ??= new Client(this.#address, credentials.createInsecure(), {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      "grpc.initial_reconnect_backoff_ms": limits.nameServerRetryMinMs,
      "grpc.max_reconnect_backoff_ms": limits.nameServerRetryMaxMs,
    });
    const client = this.#client;
    return new Promise((resolve) => {
      client.makeUnaryRequest(
        method.path,
        (value: Wish) => Buffer.from(method.request.encode(value)),
        (bytes: Buffer) => method.response.decode(bytes),
        wish,
        new Metadata(),
        { deadline: this.#clock.now() + timeoutMs },
        (error, answer) => resolve(error === null ? answer : undefined),
      );
    });
  }
}

/** The duty that a NameServer names. */
export function readDuty(code: number, brokerId: number): Duty {
  if (code === BrokerDuty.MASTER) return "master";
  if (code === BrokerDuty.SLAVE) return "slave";
  return code === BrokerDuty.ACTING_MASTER ? "acting" : dutyOf({ brokerId });
}

function readHolder(name: string, entry: cometmq.v1.TopicRouteEntry): TopicHolder {
  return {
    clusterName: entry.cluster,
    brokerName: entry.brokerName,
    brokerId: entry.brokerId,
    duty: readDuty(entry.duty, entry.brokerId),
    epoch: entry.epoch,
    host: entry.address?.host ?? "",
    observedHost: parseAddress(entry.observedAddress)?.host ?? "",
    port: entry.address?.port ?? 0,
    haAddress: "",
    topic: {
      name,
      readQueueNums: entry.readQueues,
      writeQueueNums: entry.writeQueues,
      perm: entry.perm,
      messageType: entry.messageType,
      order: entry.order,
    },
  };
}

function readBroker(broker: cometmq.v1.RegisteredBroker): BrokerSeen {
  return {
    clusterName: broker.cluster,
    brokerName: broker.brokerName,
    brokerId: broker.brokerId,
    duty: readDuty(broker.duty, broker.brokerId),
    epoch: broker.version?.epoch ?? 0,
    host: broker.address?.host ?? "",
    observedHost: parseAddress(broker.observedAddress)?.host ?? "",
    port: broker.address?.port ?? 0,
    haAddress: broker.haAddress === "" ? broker.observedHaAddress : broker.haAddress,
  };
}
