// A receive that names another broker, or comes to one that does not serve the topic: it is passed on to who does,
// held there, and ended there when the client ends it here.
import { messagingService, type rocketmq } from "@cometmq/proto";
import { background, limits } from "../../base/index.ts";
import type { ServerCall, ServerStream } from "../../transport/index.ts";
import type { Client } from "../clients/index.ts";
import { ForwardFailure, type Headers, hopHeaders, isPassedOn } from "../cluster/index.ts";
import { checkTopicName } from "../metadata/index.ts";
import type { RemotingContext } from "./context.ts";
import { asAnswered, forwardOf, isElsewhere, type Passing, untilServed } from "./owner.ts";
import { hereAddress, isQueueHere, ownedQueue, queueAddress } from "./queue-owner.ts";

const { path } = messagingService.methods.ReceiveMessage;

/** A receive and its bytes, which it owns. */
export interface WantedReceive {
  readonly request: rocketmq.v2.ReceiveMessageRequest;
  readonly bytes: Uint8Array;
}

/** Who wants it. */
export interface Receiving {
  readonly client: Client;
  readonly stream: ServerStream;
}

/** How it ended: to be served here after all, written and finished, or to be answered as empty. */
export type ReceiveEnd = "here" | "done" | "empty";

/** Finds who serves receives. */
export class ReceiveElsewhere {
  readonly #context: RemotingContext;
  #receiptCount = 0;

  constructor(context: RemotingContext) {
    this.#context = context;
  }

  /** Whether this broker serves it, as far as that can be said without asking anybody. */
  isHere(request: rocketmq.v2.ReceiveMessageRequest, call: ServerCall): boolean {
    return isQueueHere(this.#context, ownedQueue(request.messageQueue), call);
  }

  /** Passes it on. Throws ILLEGAL_TOPIC, HA_NOT_AVAILABLE, and what ends a call. */
  handle(wanted: WantedReceive, from: Receiving): Promise<ReceiveEnd> {
    checkTopicName(topicOf(wanted.request));
    return untilServed(this.#context, from.stream, () => this.#attempt(wanted, from));
  }

  async #attempt(wanted: WantedReceive, from: Receiving): Promise<ReceiveEnd | undefined> {
    if (this.#context.isStopping()) return "empty";
    if (this.isHere(wanted.request, from.stream)) return "here";
    if (isPassedOn(from.stream)) return undefined;
    const address = await queueAddress(this.#context, ownedQueue(wanted.request.messageQueue));
    if (address === hereAddress) return "here";
    return address === undefined ? undefined : await this.#pass(wanted, from, address);
  }

  async #pass(
    wanted: WantedReceive,
    { client, stream }: Receiving,
    address: string,
  ): Promise<ReceiveEnd | undefined> {
    const receipt = this.#newReceipt();
    const passing: Passing = {
      path,
      request: wanted.bytes,
      topic: topicOf(wanted.request),
      brokerName: ownedQueue(wanted.request.messageQueue).brokerName,
      headers: { ...settingsOf(client), [hopHeaders.receipt]: receipt },
    };
    const { cluster } = this.#context;
    const written = { any: false };
    const sink = {
      write: (message: Uint8Array): boolean => {
        written.any = true;
        return stream.write(message);
      },
      drained: () => stream.drained(),
    };
    let isTaken = false;
    try {
      await cluster.forwarder.stream(forwardOf(this.#context, stream, { address, passing }), sink);
      isTaken = (await stream.finish()) === "written";
      return "done";
    } catch (error) {
      if (written.any) throw asAnswered(error);
      if (isEnded(error)) return "empty";
      if (!isElsewhere(error)) throw asAnswered(error);
      cluster.view.doubt(passing);
      return undefined;
    } finally {
      if (written.any && !isTaken) this.#giveBack(stream, { address, receipt, passing });
    }
  }

  /** The owner has given its messages, and they did not reach the client. */
  #giveBack(
    stream: ServerStream,
    to: { readonly address: string; readonly receipt: string; readonly passing: Passing },
  ): void {
    const headers = { [hopHeaders.giveBack]: to.receipt };
    const passing = { ...to.passing, request: new Uint8Array(), headers };
    const forward = forwardOf(this.#context, stream, { address: to.address, passing });
    const { signal } = new AbortController();
    const nobody = { write: () => true, drained: () => Promise.resolve() };
    const told = { ...forward, signal, remainingMs: limits.passedLeaseMs };
    // Lost, the messages come back when their invisible time is over.
    background(this.#context.cluster.forwarder.stream(told, nobody).catch(() => {}));
  }

  #newReceipt(): string {
    this.#receiptCount += 1;
    const { brokerName, brokerId } = this.#context.config.values;
    return `${brokerName.slice(0, 32)}/${brokerId}/${this.#context.standing().epoch}/${this.#receiptCount}`;
  }
}

function topicOf(request: rocketmq.v2.ReceiveMessageRequest): string {
  return request.messageQueue?.topic?.name ?? "";
}

/** What the owner cannot know: the client's settings came to this broker. */
function settingsOf(client: Client): Headers {
  const { pollingMs, requestTimeoutMs } = client;
  return {
    ...(pollingMs === undefined ? {} : { [hopHeaders.pollingMs]: String(pollingMs) }),
    ...(requestTimeoutMs === undefined
      ? {}
      : { [hopHeaders.requestTimeoutMs]: String(requestTimeoutMs) }),
  };
}

/** Whether the poll was ended from this side, or by its deadline. */
function isEnded(error: unknown): boolean {
  return error instanceof ForwardFailure && error.outcome === "ended";
}
