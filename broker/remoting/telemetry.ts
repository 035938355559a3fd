// Telemetry: the stream on which a client says what it is and gets its settings.
import { messagingService, type rocketmq } from "@cometmq/proto";
import { background, type CancelTimer, limits, MqError } from "../../base/index.ts";
import {
  type BidiStream,
  GrpcStatus,
  type MethodHandler,
  RpcError,
} from "../../transport/index.ts";
import {
  type ClientIdentity,
  consumerSettings,
  isNodeClient,
  orderedBatchSize,
  producerSettings,
  readSettings,
  retryDialect,
  type TelemetrySession,
} from "../clients/index.ts";
import { ForwardFailure, isPassedOn } from "../cluster/index.ts";
import { parseFilter } from "../delivery/index.ts";
import { checkGroupName, checkTopicName, type GroupConfig } from "../metadata/index.ts";
import { callerOf } from "./caller.ts";
import type { RemotingContext } from "./context.ts";
import { forwardOf, untilServed } from "./owner.ts";
import { groupFor } from "./resources.ts";
import { failureOf, okStatus, statusOf } from "./unary.ts";

const method = messagingService.methods.Telemetry;

type ConsumerRole = Extract<ReturnType<typeof readSettings>, { kind: "consumer" }>;

/** When Node.js gets its first settings again, after they were sent. */
const settingsRepeatsMs: readonly number[] = [1_000, 3_000, 10_000];

/** The handler of Telemetry. */
export function telemetry(context: RemotingContext): MethodHandler {
  return {
    kind: "bidi",
    // Java asks for a deadline of 60 years.
    ignoreDeadline: true,
    handle: (stream) => new Conversation(context, stream).run(),
  };
}

/** One stream from open to close. */
class Conversation {
  readonly #context: RemotingContext;
  readonly #stream: BidiStream;
  readonly #repeats: CancelTimer[] = [];
  #settled = false;
  /** More is on its way to the client than it has taken. */
  #isFull = false;

  constructor(context: RemotingContext, stream: BidiStream) {
    this.#context = context;
    this.#stream = stream;
  }

  async run(): Promise<void> {
    const { clients } = this.#context;
    const stream = this.#stream;
    const identity = callerOf(stream);
    const ending = new AbortController();
    const session: TelemetrySession = {
      identity,
      end: () => ending.abort(),
      tell: (command) => this.#tell(command),
    };
    const messages = stream.messages[Symbol.asyncIterator]();
    clients.openSession(session, stream.connection);
    try {
      for (;;) {
        const next = await unlessAborted(messages.next(), ending.signal);
        if (next === undefined || next.done === true) break;
        await this.#take(Uint8Array.from(next.value), identity);
      }
    } finally {
      for (const cancel of this.#repeats) cancel();
      clients.closeSession(session);
    }
  }

  async #take(bytes: Uint8Array, identity: ClientIdentity): Promise<void> {
    this.#context.clients.seen(identity, this.#stream.connection);
    try {
      const command = method.request.decode(bytes);
      if (command.settings) await this.#settle(command.settings, identity, bytes);
    } catch (error) {
      this.#refuse(failureOf(error, this.#context.logger, method.path), identity);
    }
  }

  async #settle(
    sent: rocketmq.v2.Settings,
    identity: ClientIdentity,
    bytes: Uint8Array,
  ): Promise<void> {
    const { clients, config } = this.#context;
    const server = {
      bodySizeMax: config.values.maxMessageSize,
      dialect: retryDialect(identity.language),
      orderedBatchSize: orderedBatchSize(identity.language),
    };
    const role = readSettings(sent);
    let settings: rocketmq.v2.ISettings;
    if (role.kind === "producer") {
      role.topics.forEach(checkTopicName);
      settings = producerSettings(sent, server);
    } else {
      checkSubscriptions(role);
      checkGroupName(role.group);
      const group = await this.#groupOf(role, bytes);
      if (group instanceof Uint8Array) {
        clients.settle(identity, role, this.#stream.connection);
        return this.#reply(group, identity);
      }
      settings = consumerSettings(sent, group, server);
    }
    clients.settle(identity, role, this.#stream.connection);
    this.#reply(method.response.encode({ status: okStatus, settings }), identity);
  }

  /** The group as it is known here, or else the whole reply of a broker that knows it. */
  #groupOf(role: ConsumerRole, bytes: Uint8Array): Promise<GroupConfig | Uint8Array> {
    const context = this.#context;
    return untilServed(context, this.#stream, async () => {
      const local = context.local();
      const known = local?.metadata.group(role.group);
      if (known !== undefined) return known;
      if (local?.canSend === true) {
        const topics = role.subscriptions.map(({ topic }) => topic);
        const needs = { config: context.config, metadata: local.metadata };
        return await groupFor(needs, role.group, topics);
      }
      return isPassedOn(this.#stream) ? undefined : await this.#settleElsewhere(role, bytes);
    });
  }

  async #settleElsewhere(role: ConsumerRole, bytes: Uint8Array): Promise<Uint8Array | undefined> {
    const { cluster } = this.#context;
    const ownMaster = await cluster.view.ownMaster();
    const addresses = new Set(ownMaster === undefined ? [] : [ownMaster]);
    for (const { topic } of role.subscriptions) {
      for (const place of await cluster.view.knownTopic(topic)) {
        if (!place.isOwn) addresses.add(place.address);
      }
    }
    for (const address of addresses) {
      const passing = { path: method.path, request: bytes };
      const forward = forwardOf(this.#context, this.#stream, { address, passing });
      try {
        return await cluster.forwarder.exchange(forward);
      } catch (error) {
        if (!(error instanceof ForwardFailure)) throw error;
      }
    }
    return undefined;
  }

  /** Not more than the client takes: what is written after that would wait in memory. */
  #tell(command: Uint8Array): boolean {
    if (this.#isFull || this.#stream.signal.aborted) return false;
    if (this.#stream.write(command)) return true;
    this.#isFull = true;
    background(this.#drain());
    return true;
  }

  async #drain(): Promise<void> {
    await this.#stream.drained();
    this.#isFull = false;
  }

  #reply(command: Uint8Array, identity: ClientIdentity): void {
    this.#stream.write(command);
    if (this.#settled) return;
    this.#settled = true;
    if (!isNodeClient(identity.language)) return;
    for (const delayMs of settingsRepeatsMs) {
      const again = (): void => void this.#stream.write(command);
      this.#repeats.push(this.#context.clock.after(delayMs, again, { unref: true }));
    }
  }

  /** Says why in a command, which Node.js shows to its user; for the others the stream ends, as RocketMQ does it. */
  #refuse(failure: MqError, identity: ClientIdentity): void {
    this.#stream.write(method.response.encode({ status: statusOf(failure) }));
    if (isNodeClient(identity.language)) return;
    const grpcStatus = failure.status < 50_000 ? GrpcStatus.invalidArgument : GrpcStatus.internal;
    throw new RpcError(grpcStatus, failure.message);
  }
}

/** Throws ILLEGAL_TOPIC, ILLEGAL_FILTER_EXPRESSION. */
function checkSubscriptions({ subscriptions }: ConsumerRole): void {
  const { settingsFilterLengthMax } = limits;
  const length = subscriptions.reduce((sum, { expression }) => sum + expression.length, 0);
  if (length > settingsFilterLengthMax) {
    throw new MqError(
      "ILLEGAL_FILTER_EXPRESSION",
      `the filters of the settings have ${length} characters in all, at most ${settingsFilterLengthMax} are allowed`,
    );
  }
  for (const { topic, filterType, expression } of subscriptions) {
    checkTopicName(topic);
    parseFilter(filterType, expression);
  }
}

/** What `promise` gives, or undefined once `signal` is aborted. Leaves nothing at the signal, however often it is called. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const abort = (): void => resolve(undefined);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
