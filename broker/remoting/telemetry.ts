// Telemetry: the stream on which a client says what it is and gets its settings.
import { messagingService, type rocketmq } from "@cometmq/proto";
import type { CancelTimer, MqError } from "../../base/index.ts";
import {
  type BidiStream,
  GrpcStatus,
  type MethodHandler,
  RpcError,
} from "../../transport/index.ts";
import {
  type ClientIdentity,
  consumerSettings,
  identify,
  isNodeClient,
  producerSettings,
  readSettings,
  retryDialect,
  type TelemetrySession,
} from "../clients/index.ts";
import { checkTopicName } from "../metadata/index.ts";
import type { RemotingContext } from "./context.ts";
import { groupFor, servedHere } from "./resources.ts";
import { failureOf, okStatus, statusOf } from "./unary.ts";

const method = messagingService.methods.Telemetry;

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

  constructor(context: RemotingContext, stream: BidiStream) {
    this.#context = context;
    this.#stream = stream;
  }

  async run(): Promise<void> {
    const { clients } = this.#context;
    const stream = this.#stream;
    const identity = identify((name) => stream.header(name));
    const ending = new AbortController();
    const session: TelemetrySession = { identity, end: () => ending.abort() };
    const messages = stream.messages[Symbol.asyncIterator]();
    clients.openSession(session, stream.connection);
    try {
      for (;;) {
        const next = await unlessAborted(messages.next(), ending.signal);
        if (next === undefined || next.done === true) break;
        await this.#take(next.value, identity);
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
      if (command.settings) await this.#settle(command.settings, identity);
    } catch (error) {
      this.#refuse(failureOf(error, this.#context.logger, method.path), identity);
    }
  }

  async #settle(sent: rocketmq.v2.Settings, identity: ClientIdentity): Promise<void> {
    const { clients, config } = this.#context;
    const server = {
      bodySizeMax: config.values.maxMessageSize,
      dialect: retryDialect(identity.language),
    };
    const role = readSettings(sent);
    let settings: rocketmq.v2.ISettings;
    if (role.kind === "producer") {
      role.topics.forEach(checkTopicName);
      settings = producerSettings(sent, server);
    } else {
      for (const { topic } of role.subscriptions) checkTopicName(topic);
      const group = await groupFor({ ...this.#context, ...servedHere(this.#context) }, role.group);
      settings = consumerSettings(sent, group, server);
    }
    clients.settle(identity, role, this.#stream.connection);
    this.#reply(method.response.encode({ status: okStatus, settings }), identity);
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

/** What `promise` gives, or undefined once `signal` is aborted. Leaves nothing at the signal, however often it is called. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const abort = (): void => resolve(undefined);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
