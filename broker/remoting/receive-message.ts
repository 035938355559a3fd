// ReceiveMessage: messages for a consumer; held while there are none. What could not be written goes back at once.
import { messagingService, ReceiveMessageWriter, type rocketmq } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import { type MethodHandler, RpcError, type ServerStream } from "../../transport/index.ts";
import type { Delivered } from "../delivery/index.ts";
import { addedSizeBytes, addMessage, answerSize, chunkSizeBytes } from "./answered-message.ts";
import { callerOf } from "./caller.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { FilterCache } from "./filter-cache.ts";
import { PassedLeases } from "./passed-leases.ts";
import { ReceiveElsewhere, type WantedReceive } from "./receive-elsewhere.ts";
import { type ReceiveWish, readReceive } from "./receive-request.ts";
import { servedHere } from "./resources.ts";
import { failureOf, okStatus, type StatusFields, statusOf } from "./unary.ts";

const method = messagingService.methods.ReceiveMessage;
const noMessage: StatusFields = statusOf(new MqError("MESSAGE_NOT_FOUND", "no new message"));

/** The handler of ReceiveMessage. */
export function receiveMessage(context: RemotingContext): MethodHandler {
  const receiver = new Receiver(context);
  return { kind: "serverStream", handle: (request, stream) => receiver.handle(request, stream) };
}

/** What a receive got, and from whom. */
interface Answer {
  readonly delivered: readonly Delivered[];
  readonly delivery: LocalParts["delivery"];
  readonly wish: ReceiveWish;
}

class Receiver {
  readonly #context: RemotingContext;
  readonly #filters = new FilterCache();
  readonly #elsewhere: ReceiveElsewhere;
  readonly #leases: PassedLeases;

  constructor(context: RemotingContext) {
    this.#context = context;
    this.#elsewhere = new ReceiveElsewhere(context);
    this.#leases = new PassedLeases(context.clock);
  }

  async handle(bytes: Uint8Array, stream: ServerStream): Promise<void> {
    const startMs = this.#context.clock.monotonicMs();
    let request: rocketmq.v2.ReceiveMessageRequest | undefined;
    try {
      if (this.#leases.giveBack(stream)) return await this.#answerEmpty(stream, okStatus);
      request = method.request.decode(bytes);
      if (this.#elsewhere.isHere(request, stream)) await this.#receive(request, stream);
      else await this.#receiveElsewhere({ request, bytes: Uint8Array.from(bytes) }, stream);
    } catch (error) {
      if (error instanceof RpcError) throw error;
      const failure = failureOf(error, this.#context.logger, method.path);
      if (request?.autoRenew === true) await this.#calmDown(stream, startMs);
      await this.#answerEmpty(stream, statusOf(failure));
    }
  }

  /** As `#receive`, by whichever broker serves it. */
  async #receiveElsewhere(wanted: WantedReceive, stream: ServerStream): Promise<void> {
    const identity = callerOf(stream);
    if (await this.#isOver(identity.id, stream)) return;
    const client = this.#context.clients.seen(identity, stream.connection);
    const end = await this.#elsewhere.handle(wanted, { client, stream });
    if (end === "here") await this.#receive(wanted.request, stream);
    else if (end === "empty") await this.#answerEmpty(stream, noMessage);
  }

  /** Whether the client has said goodbye: its last poll ended then, and its loop has asked once more. */
  async #isOver(clientId: string, stream: ServerStream): Promise<boolean> {
    if (!this.#context.clients.isTerminated(clientId, stream.connection)) return false;
    await this.#calmDown(stream, this.#context.clock.monotonicMs());
    await this.#answerEmpty(stream, noMessage);
    return true;
  }

  async #receive(request: rocketmq.v2.ReceiveMessageRequest, stream: ServerStream): Promise<void> {
    const { clients, traffic } = this.#context;
    const identity = callerOf(stream);
    const { connection } = stream;
    if (await this.#isOver(identity.id, stream)) return;
    const isClientGone = (): boolean =>
      connection.closed.aborted ||
      this.#context.isStopping() ||
      clients.isTerminated(identity.id, connection);
    const client = clients.seen(identity, connection);
    const { config } = this.#context;
    const { metadata, delivery } = servedHere(this.#context);
    const wish = await readReceive({ config, clients, metadata }, request, {
      client,
      call: stream,
      filters: this.#filters,
    });
    const { signal } = stream;
    const delivered = await delivery.receive({
      ...wish,
      clientId: identity.id,
      signal,
      isClientGone,
    });
    if (delivered.length === 0) return await this.#answerEmpty(stream, noMessage);
    const bytes = await this.#hand({ delivered, delivery, wish }, stream);
    if (bytes === undefined) return;
    this.#leases.keep(delivery, delivered, stream);
    for (const count of [traffic.received(wish.group.name, wish.topic.name), traffic.total.out]) {
      count.messages += delivered.length;
      count.bytes += bytes;
    }
  }

  /** Writes the whole answer; undefined when it did not get through, and then the messages are given back. */
  async #hand(answer: Answer, stream: ServerStream): Promise<number | undefined> {
    const { delivered, wish } = answer;
    let bytes: number | undefined;
    try {
      const written = await this.#write(delivered, stream, wish.topic.name);
      if ((await stream.finish()) === "written") bytes = written;
    } finally {
      if (bytes === undefined) this.#takeBack(answer, stream);
    }
    return bytes;
  }

  /**
   * Gives messages back that were not taken. A client that is there and has reset the call may have met a frame larger
   * than its gRPC library takes (4 MiB in Node.js, C# and Rust). Given back, that message would come first in the next
   * answer, and for ever: it waits, its attempt counts, and in the end the dead-letter topic takes it.
   */
  #takeBack({ delivered, delivery, wish }: Answer, stream: ServerStream): void {
    const { logger } = this.#context;
    const isHere = !stream.connection.closed.aborted && !this.#context.isStopping();
    const refused = isHere ? delivered.filter(({ record }) => mayBeRefused(record.size)) : [];
    delivery.giveBack(delivered.filter((message) => !refused.includes(message)));
    for (const { receiptHandle, record, queueId, queueOffset, attempt } of refused) {
      const [group, topic] = [wish.group.name, wish.topic.name];
      const invisibleMs = limits.refusedMessageDelayMs;
      delivery.changeInvisible({ group, topic, receiptHandle, invisibleMs });
      logger.warn("a client refused an answer with a large message; it will be handed out again", {
        group,
        topic,
        queueId,
        queueOffset,
        attempt,
        size: record.size,
        client: stream.header("x-mq-client-id"),
        hint: "let the client take larger gRPC messages, or lower maxMessageSize",
      });
    }
  }

  /** Writes status, messages and delivery time; gives the bytes of all bodies. Stops early when the stream is lost. */
  async #write(
    delivered: readonly Delivered[],
    stream: ServerStream,
    topic: string,
  ): Promise<number> {
    const { connection } = stream;
    const storeHost = `${connection.localAddress}:${connection.localPort}`;
    const writer = new ReceiveMessageWriter(answerSize(delivered));
    let total = 0;
    writer.status(okStatus.code, okStatus.message);
    for (const message of delivered) {
      total += addMessage(writer, message, { topic, storeHost });
      if (writer.size < chunkSizeBytes) continue;
      if (!stream.writeFramed(writer.take())) await stream.drained();
      if (stream.signal.aborted) return total;
    }
    writer.deliveryTimestamp(this.#context.clock.now());
    stream.writeFramed(writer.take());
    return total;
  }

  async #answerEmpty(stream: ServerStream, status: StatusFields): Promise<void> {
    const writer = new ReceiveMessageWriter();
    writer.status(status.code, status.message);
    writer.deliveryTimestamp(this.#context.clock.now());
    stream.writeFramed(writer.take());
    await stream.finish();
  }

  /** Waits until a moment after `startMs`: Go asks again 20 ms after an error. Ends with the call. */
  async #calmDown(stream: ServerStream, startMs: number): Promise<void> {
    const { clock } = this.#context;
    const untilMs = Math.min(
      limits.receiveErrorDelayMs - (clock.monotonicMs() - startMs),
      stream.remainingMs() / 2,
    );
    if (untilMs <= 0 || stream.signal.aborted) return;
    await new Promise<void>((resolve) => {
      const cancel = clock.after(untilMs, resolve);
      const end = (): void => {
        cancel();
        resolve();
      };
      stream.signal.addEventListener("abort", end, { once: true });
    });
  }
}

/** Whether a message whose record has so many bytes may be more than its client takes. */
function mayBeRefused(recordSize: number): boolean {
  return recordSize + addedSizeBytes > limits.clientFrameSizeDefault;
}
