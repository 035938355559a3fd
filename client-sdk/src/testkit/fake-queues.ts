// The queues of a fake broker as consumers that read by offset see them. For tests only.
import { messagingService, type rocketmq } from "@cometmq/proto";
import type { ServerWritableStream } from "@grpc/grpc-js";

const { methods } = messagingService;
const ok: rocketmq.v2.IStatus = { code: 20_000, message: "OK" };
const statusOf = (code: number, message: string): { status: rocketmq.v2.IStatus } => ({
  status: { code, message },
});

interface FakeQueue {
  readonly messages: rocketmq.v2.IMessage[];
  minOffset: number;
}

type Frame = rocketmq.v2.IPullMessageResponse;

/** Two queues a topic, in memory. Change its fields to change how it behaves. */
export class FakeQueues {
  /** Stored offsets, by group, topic and queue id. */
  readonly offsets: Map<string, number> = new Map();
  /** Every UpdateOffset, `group topic queueId offset`. */
  readonly commits: string[] = [];
  /** Every PullMessage, `topic queueId offset`. */
  readonly pulls: string[] = [];
  /** Pulls under way. */
  pulling = 0;
  /** Queue ids that QueryAssignment gives a client; `undefined` as a broker that does not know it. */
  assign: (clientId: string, topic: string) => readonly number[] | undefined = () => [0, 1];
  /** Every QueryAssignment, by client id. */
  readonly asked: string[] = [];
  /** Answers in place of the usual ones. */
  pull: ((request: rocketmq.v2.IPullMessageRequest) => Frame[] | undefined) | undefined;
  update:
    | ((request: rocketmq.v2.IUpdateOffsetRequest) => rocketmq.v2.IStatus | undefined)
    | undefined;
  assignment: ((clientId: string) => rocketmq.v2.IStatus | undefined) | undefined;
  readonly #queues = new Map<string, FakeQueue>();
  readonly #brokerName: string;

  constructor(brokerName: string) {
    this.#brokerName = brokerName;
  }

  queue(topic: string, queueId: number): FakeQueue {
    const key = `${topic} ${queueId}`;
    const queue = this.#queues.get(key) ?? { messages: [], minOffset: 0 };
    this.#queues.set(key, queue);
    return queue;
  }

  /** Appends messages with these bodies. */
  store(topic: string, queueId: number, bodies: readonly string[]): void {
    const { messages } = this.queue(topic, queueId);
    for (const body of bodies) {
      const systemProperties = { messageId: body, queueId, queueOffset: messages.length };
      messages.push({ topic: { name: topic }, body: Buffer.from(body), systemProperties });
    }
  }

  queryAssignment(bytes: Buffer, clientId: string): Uint8Array {
    const request = methods.QueryAssignment.request.decode(bytes);
    this.asked.push(clientId);
    const refused = this.assignment?.(clientId);
    if (refused !== undefined) return methods.QueryAssignment.response.encode({ status: refused });
    const ids = this.assign(clientId, request.topic?.name ?? "") ?? [-1];
    const assignments = ids.map((id) => ({
      messageQueue: { topic: request.topic ?? {}, id, broker: { name: this.#brokerName } },
    }));
    return methods.QueryAssignment.response.encode({ status: ok, assignments });
  }

  getOffset(bytes: Buffer): Uint8Array {
    const { group, messageQueue } = methods.GetOffset.request.decode(bytes);
    const offset = this.offsets.get(
      `${group?.name} ${messageQueue?.topic?.name} ${messageQueue?.id}`,
    );
    const answer = offset === undefined ? statusOf(40_404, "none") : { status: ok, offset };
    return methods.GetOffset.response.encode(answer);
  }

  updateOffset(bytes: Buffer): Uint8Array {
    const request = methods.UpdateOffset.request.decode(bytes);
    const refused = this.update?.(request);
    if (refused !== undefined) return methods.UpdateOffset.response.encode({ status: refused });
    const { group, messageQueue, offset } = request;
    const key = `${group?.name} ${messageQueue?.topic?.name} ${messageQueue?.id}`;
    this.offsets.set(key, offset);
    this.commits.push(`${key} ${offset}`);
    return methods.UpdateOffset.response.encode({ status: ok });
  }

  queryOffset(bytes: Buffer): Uint8Array {
    const { messageQueue, queryOffsetPolicy, timestamp } =
      methods.QueryOffset.request.decode(bytes);
    const queue = this.queue(messageQueue?.topic?.name ?? "", messageQueue?.id ?? 0);
    const policy: number = queryOffsetPolicy;
    const offset = [queue.minOffset, queue.messages.length, timestamp?.seconds ?? 0][policy] ?? 0;
    return methods.QueryOffset.response.encode({ status: ok, offset });
  }

  pullMessage(stream: ServerWritableStream<Buffer, Buffer>): void {
    const request = methods.PullMessage.request.decode(stream.request);
    const { messageQueue, offset, batchSize, longPollingTimeout } = request;
    const [topic, queueId] = [messageQueue?.topic?.name ?? "", messageQueue?.id ?? 0];
    this.pulls.push(`${topic} ${queueId} ${offset}`);
    this.pulling++;
    stream.once("close", () => this.pulling--);
    const write = (frames: readonly Frame[]): void => {
      for (const frame of frames)
        stream.write(Buffer.from(methods.PullMessage.response.encode(frame)));
      stream.end();
    };
    const told = this.pull?.(request);
    if (told !== undefined) return write(told);
    const endMs =
      Date.now() +
      (longPollingTimeout?.seconds ?? 0) * 1_000 +
      (longPollingTimeout?.nanos ?? 0) / 1e6;
    const attempt = (): void => {
      if (stream.cancelled) return;
      const { messages, minOffset } = this.queue(topic, queueId);
      const nearest = Math.min(Math.max(offset, minOffset), messages.length);
      if (nearest !== offset) {
        return write([statusOf(40_019, "out of range"), { nextOffset: nearest }]);
      }
      const found = messages.slice(offset, offset + batchSize);
      if (found.length === 0 && Date.now() < endMs) return void setTimeout(attempt, 5);
      if (found.length === 0) return write([statusOf(40_401, "nothing"), { nextOffset: offset }]);
      const next = { nextOffset: offset + found.length };
      write([{ status: ok }, ...found.map((message) => ({ message })), next]);
    };
    attempt();
  }
}
