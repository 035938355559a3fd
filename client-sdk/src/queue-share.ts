// The queues of a topic that this member of the group shall read, asked of the brokers again and again. Each question says
// what is read now: a queue goes to another member when this one does not name it any more (docs/pull.md).
import { messagingService } from "@cometmq/proto";
import { JoinedSignal } from "./abort-listeners.ts";
import type { ClientCore } from "./client-core.ts";
import { ClientError, statusError, toError } from "./client-error.ts";
import { endpointsMessage } from "./endpoints.ts";
import { readableBrokers } from "./route.ts";
import { sleep } from "./timing.ts";
import { queuesText, type TopicQueue } from "./topic-queue.ts";

/** What a share stands on. */
export interface QueueShareOptions {
  readonly core: ClientCore;
  readonly consumerGroup: string;
  readonly topic: string;
  /** The queues of the topic that are read now. */
  readonly reads: () => readonly TopicQueue[];
  /**
   * The share is now `queues`. Resolves when what is not among them is read no more: only then it is another's.
   * `isLost`: another may have been given the share meanwhile. Must not reject.
   */
  readonly take: (
    queues: readonly TopicQueue[],
    options: { readonly isLost: boolean },
  ) => Promise<void>;
}

const { QueryAssignment } = messagingService.methods;
/** Only CometMQ reads it. */
const readsHeader = "x-cometmq-reads";
const periodMs = 1_000;
const retryMs = 250;
/** The server gives away the share of who has not asked for ten seconds. */
const shareLifeMs = 8_000;
/** The first who ask wait on the server until the others have asked. */
const serverWaitMs = 2_000;
const untried: ReadonlySet<string> = new Set();

/** The share of one member in one topic. Runs from `start` to `stop`. */
export class QueueShare {
  readonly #options: QueueShareOptions;
  readonly #stopping = new AbortController();
  #validUntilMs = 0;
  #names = "";
  #done: Promise<void> | undefined;

  constructor(options: QueueShareOptions) {
    this.#options = options;
  }

  /** False when the share may be another's: this member has not been heard for too long. */
  get isValid(): boolean {
    return Date.now() < this.#validUntilMs;
  }

  start(): void {
    this.#done ??= this.#run();
  }

  /** Asks no more. Resolves when nothing is taken over any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  /** Asks until stopped; never rejects. */
  async #run(): Promise<void> {
    const { core, topic } = this.#options;
    using joined = new JoinedSignal([this.#stopping.signal, core.closing]);
    const { signal } = joined;
    while (!signal.aborted) {
      try {
        const isEarly = await this.#askOnce(signal);
        await sleep(isEarly ? 0 : periodMs, signal);
      } catch (error) {
        if (signal.aborted) return;
        core.options.logger.warn("no share of the queues", topic, toError(error).message);
        await this.#loseIfStale();
        await sleep(retryMs, signal).catch(toError);
      }
    }
  }

  /** True when the broker waits to hear that this member has let go of something. */
  async #askOnce(signal: AbortSignal): Promise<boolean> {
    const { take } = this.#options;
    const askedMs = Date.now();
    const queues = await this.#ask(signal);
    if (signal.aborted) return false;
    // What was read until now may have been another's for a while.
    await this.#loseIfStale();
    const names = new Set(queues.map(nameOf));
    const isLess = this.#names.split("\n").some((name) => name !== "" && !names.has(name));
    this.#validUntilMs = askedMs + shareLifeMs;
    this.#names = [...names].join("\n");
    await take(queues, { isLost: false });
    return isLess;
  }

  async #loseIfStale(): Promise<void> {
    if (this.isValid || this.#names === "") return;
    this.#names = "";
    await this.#options.take([], { isLost: true });
  }

  async #ask(signal: AbortSignal): Promise<readonly TopicQueue[]> {
    const { core, consumerGroup, topic, reads } = this.#options;
    const { requestTimeoutMs } = core.options;
    const broker = await core.usableBroker({
      topic,
      choose: (route) => readableBrokers(route.brokers),
      turn: 0,
      tried: untried,
      waitMaxMs: requestTimeoutMs,
      signal,
    });
    if (broker === undefined) throw new ClientError("UNREACHABLE", "no broker", { topic });
    const link = core.link(broker.endpoints);
    const request = QueryAssignment.request.encode({
      topic: core.resource(topic),
      group: core.resource(consumerGroup),
      endpoints: endpointsMessage([broker.endpoints]),
    });
    const headers = { [readsHeader]: queuesText(reads()) };
    const options = { timeoutMs: requestTimeoutMs + serverWaitMs, topic, signal, headers };
    let bytes: Buffer;
    try {
      bytes = await link.channel.unary(QueryAssignment.path, request, options);
    } catch (error) {
      if (!signal.aborted) core.reportFailure(link, error);
      throw error;
    }
    const place = { address: link.channel.address, topic };
    const { status, assignments } = QueryAssignment.response.decode(bytes);
    const error = statusError(status, "QueryAssignment", place);
    if (error !== undefined) {
      core.reportRefusal(link, error);
      throw error;
    }
    const queues = assignments.map(({ messageQueue }) => ({
      topic,
      brokerName: messageQueue?.broker?.name ?? "",
      queueId: messageQueue?.id ?? -1,
    }));
    if (queues.every(({ queueId }) => queueId >= 0)) return queues;
    // It takes this for a consumer that receives, as after its restart: a heartbeat says what it is.
    await link.heartbeat();
    throw new ClientError(
      "PROTOCOL",
      "the broker does not know yet that this consumer pulls",
      place,
    );
  }
}

function nameOf({ brokerName, queueId }: TopicQueue): string {
  return `${brokerName}/${queueId}`;
}
