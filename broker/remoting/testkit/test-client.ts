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

/** Calls as a client of topic `t` and group `g`; every field may be another one. */
export class TestClient {
  readonly #broker: TestBroker;

  constructor(broker: TestBroker) {
    this.#broker = broker;
  }

  /** Calls a method with a request in bytes. */
  async call(name: CallName, request: Uint8Array, options?: CallOptions): Promise<AnsweredStatus> {
    const { path, kind, response } = methods[name];
    if (kind === "unary") {
      return statusIn(response.decode(await this.#broker.unary(path, request, options)));
    }
    const stream = new TestStream(options);
    await this.#broker.stream(path, request, stream);
    return statusIn(response.decode(stream.written[0] ?? new Uint8Array()));
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
    const stream = new TestBidi();
    const handler = this.#broker.methods.get(path);
    if (handler?.kind !== "bidi") throw new Error("telemetry has streams both ways");
    // A refusal is told, and then the stream ends with it.
    const running = handler.handle(stream).catch((error: unknown) => {
      if (!(error instanceof RpcError)) throw error;
    });
    stream.say(request.encode({ settings }));
    await new Promise(setImmediate);
    stream.hangUp();
    await running;
    return statusIn(response.decode(stream.written[0] ?? new Uint8Array()));
  }
}

function statusIn({ status }: { readonly status: rocketmq.v2.IStatus | null }): AnsweredStatus {
  return { code: status?.code ?? 0, message: status?.message ?? "" };
}
