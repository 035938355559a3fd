// A client's calls at a test broker, and the status of each answer.
import { messagingService, type rocketmq } from "@cometmq/proto";
import { RpcError } from "../../../transport/index.ts";
import { type CallOptions, TestBidi, TestStream } from "./calls.ts";
import type { TestBroker } from "./test-broker.ts";

const methods = messagingService.methods;

/** A call that is answered with a status. */
export type CallName = Exclude<keyof typeof messagingService.methods, "Telemetry">;

/** What a client reads of an answer. */
export interface AnsweredStatus {
  readonly code: number;
  readonly message: string;
}

type Fields = rocketmq.v2.IMessage & { readonly topic?: { readonly name: string } };

/** Makes a call with a request in bytes; gives the first message of its answer, empty when there is none. */
export type Exchange = (
  path: string,
  request: Uint8Array,
  options?: CallOptions,
) => Promise<Uint8Array>;

/** Calls as a client of topic `t` and group `g`; every field may be another one. */
export class TestClient {
  readonly #exchange: Exchange;

  /** `exchange`: what lies between it and the broker; nothing by default. */
  constructor(broker: TestBroker, exchange: Exchange = inProcess(broker)) {
    this.#exchange = exchange;
  }

  /** Calls a method with a request in bytes. */
  async call(name: CallName, request: Uint8Array, options?: CallOptions): Promise<AnsweredStatus> {
    const { path, response } = methods[name];
    return statusIn(response.decode(await this.#exchange(path, request, options)));
  }

  /** Sends a message to topic `t`. */
  send(message: Fields = {}, system: rocketmq.v2.ISystemProperties = {}): Promise<AnsweredStatus> {
    const systemProperties = { messageId: "1", ...system };
    const whole = { topic: { name: "t" }, body: Buffer.from("x"), ...message, systemProperties };
    return this.call("SendMessage", methods.SendMessage.request.encode({ messages: [whole] }));
  }

  receive(
    fields: rocketmq.v2.IReceiveMessageRequest = {},
    options?: CallOptions,
  ): Promise<AnsweredStatus> {
    const request = methods.ReceiveMessage.request.encode({
      group: { name: "g" },
      messageQueue: { topic: { name: "t" } },
      batchSize: 1,
      invisibleDuration: { seconds: 30 },
      ...fields,
    });
    return this.call("ReceiveMessage", request, options);
  }

  pull(fields: rocketmq.v2.IPullMessageRequest = {}): Promise<AnsweredStatus> {
    const messageQueue = { topic: { name: "t" } };
    const request = { group: { name: "g" }, messageQueue, batchSize: 1, ...fields };
    return this.call("PullMessage", methods.PullMessage.request.encode(request));
  }

  acknowledge(...handles: readonly string[]): Promise<AnsweredStatus> {
    const entries = handles.map((receiptHandle) => ({ messageId: "1", receiptHandle }));
    const names = { topic: { name: "t" }, group: { name: "g" } };
    return this.call("AckMessage", methods.AckMessage.request.encode({ ...names, entries }));
  }

  changeInvisible(
    invisibleDuration: rocketmq.v2.IChangeInvisibleDurationRequest["invisibleDuration"],
  ): Promise<AnsweredStatus> {
    const names = { topic: { name: "t" }, group: { name: "g" } };
    const fields = {
      ...names,
      receiptHandle: "h",
      ...(invisibleDuration ? { invisibleDuration } : {}),
    };
    const { request } = methods.ChangeInvisibleDuration;
    return this.call("ChangeInvisibleDuration", request.encode(fields));
  }

  heartbeat(
    fields: rocketmq.v2.IHeartbeatRequest = {},
    options?: CallOptions,
  ): Promise<AnsweredStatus> {
    const whole = { group: { name: "g" }, clientType: 2, ...fields };
    return this.call("Heartbeat", methods.Heartbeat.request.encode(whole), options);
  }

  /** Sends settings on a telemetry stream of its own. */
  async settle(settings: rocketmq.v2.ISettings): Promise<AnsweredStatus> {
    const { path, request, response } = methods.Telemetry;
    return statusIn(response.decode(await this.#exchange(path, request.encode({ settings }))));
  }
}

/** Calls the handlers of `broker` without a network. */
function inProcess(broker: TestBroker): Exchange {
  return async (path, request, options) => {
    const handler = broker.methods.get(path);
    if (handler?.kind === "unary") return await broker.unary(path, request, options);
    if (handler?.kind === "serverStream") {
      const stream = new TestStream(options);
      await broker.stream(path, request, stream);
      return stream.written[0] ?? new Uint8Array();
    }
    const stream = new TestBidi(options);
    // A refusal is told, and then the stream ends with it.
    const running = handler?.handle(stream).catch((error: unknown) => {
      if (!(error instanceof RpcError)) throw error;
    });
    stream.say(request);
    await new Promise(setImmediate);
    stream.hangUp();
    await running;
    return stream.written[0] ?? new Uint8Array();
  };
}

function statusIn({ status }: { readonly status: rocketmq.v2.IStatus | null }): AnsweredStatus {
  return { code: status?.code ?? 0, message: status?.message ?? "" };
}
