// Asks the broker that holds a queue for offsets, and stores them there. Calls go to whoever is master of the broker's
// name now, and again while nobody is, until their time is over.
import { messagingService, rocketmq, timestampOfMs } from "@cometmq/proto";
import type { ClientCore } from "./client-core.ts";
import { ClientError, statusError, toError } from "./client-error.ts";
import { sleep } from "./timing.ts";
import { holdersOf, type SeekTarget, type TopicQueue } from "./topic-queue.ts";

/** How long a call may take, and what ends it early. */
export interface OffsetCallOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

interface OffsetMethod<Request, Answer> {
  readonly path: string;
  readonly request: { encode(value: Request): Uint8Array };
  readonly response: { decode(bytes: Uint8Array): Answer };
}

interface OffsetAnswer {
  readonly status?: rocketmq.v2.IStatus | null | undefined;
}

const { GetOffset, QueryOffset, UpdateOffset } = messagingService.methods;
const { QueryOffsetPolicy } = rocketmq.v2;
const retryDelayMinMs = 50;
const retryDelayMaxMs = 1_000;
/** The last call gets so long, so that a link is not suspected without reason. */
const callMinMs = 200;
const untried: ReadonlySet<string> = new Set();

/** Offsets of one group. */
export class OffsetCalls {
  readonly #core: ClientCore;
  readonly #consumerGroup: string;

  constructor(core: ClientCore, consumerGroup: string) {
    this.#core = core;
    this.#consumerGroup = consumerGroup;
  }

  /** The offset that the group has stored; undefined when it has none. */
  async get(queue: TopicQueue, options: OffsetCallOptions): Promise<number | undefined> {
    const group = this.#core.resource(this.#consumerGroup);
    try {
      return (await this.#call(GetOffset, queue, { group }, options)).offset;
    } catch (error) {
      if (error instanceof ClientError && error.code === "OFFSET_NOT_FOUND") return undefined;
      throw error;
    }
  }

  /** Stores an offset, also back; resolved, it survives the broker's end. */
  async update(queue: TopicQueue, offset: number, options: OffsetCallOptions): Promise<void> {
    const group = this.#core.resource(this.#consumerGroup);
    await this.#call(UpdateOffset, queue, { group, offset }, options);
  }

  /** The offset that a target means now. */
  async find(queue: TopicQueue, target: SeekTarget, options: OffsetCallOptions): Promise<number> {
    if (typeof target === "number") return target;
    const policy =
      target === "beginning"
        ? { queryOffsetPolicy: QueryOffsetPolicy.BEGINNING }
        : target === "end"
          ? { queryOffsetPolicy: QueryOffsetPolicy.END }
          : {
              queryOffsetPolicy: QueryOffsetPolicy.TIMESTAMP,
              timestamp: timestampOfMs(target.getTime()),
            };
    return (await this.#call(QueryOffset, queue, policy, options)).offset;
  }

  async #call<Request extends object, Answer extends OffsetAnswer>(
    method: OffsetMethod<Request & { messageQueue?: rocketmq.v2.IMessageQueue }, Answer>,
    queue: TopicQueue,
    request: Request,
    { timeoutMs, signal }: OffsetCallOptions,
  ): Promise<Answer> {
    const endMs = Date.now() + timeoutMs;
    for (let delayMs = retryDelayMinMs; ; delayMs = Math.min(retryDelayMaxMs, 2 * delayMs)) {
      try {
        return await this.#callOnce(method, queue, request, { endMs, signal });
      } catch (error) {
        const again = error instanceof ClientError && error.retryable;
        if (!again || Date.now() + delayMs >= endMs) throw error;
        await sleep(delayMs, signal);
      }
    }
  }

  async #callOnce<Request extends object, Answer extends OffsetAnswer>(
    method: OffsetMethod<Request & { messageQueue?: rocketmq.v2.IMessageQueue }, Answer>,
    queue: TopicQueue,
    request: Request,
    { endMs, signal }: { readonly endMs: number; readonly signal: AbortSignal | undefined },
  ): Promise<Answer> {
    const { topic, brokerName, queueId } = queue;
    const core = this.#core;
    const { requestTimeoutMs } = core.options;
    const broker = await core.usableBroker({
      topic,
      choose: holdersOf(queue),
      turn: 0,
      tried: untried,
      waitMaxMs: endMs - Date.now(),
      signal,
    });
    if (broker === undefined) {
      throw new ClientError("UNREACHABLE", `broker ${brokerName} cannot be reached`, { topic });
    }
    const link = core.link(broker.endpoints);
    const place = { address: link.channel.address, topic };
    const messageQueue = { topic: core.resource(topic), id: queueId, broker: { name: brokerName } };
    const bytes = method.request.encode({ ...request, messageQueue });
    const timeoutMs = Math.min(requestTimeoutMs, Math.max(callMinMs, endMs - Date.now()));
    try {
      const answer = decoded(
        method,
        place,
        await link.channel.unary(method.path, bytes, { timeoutMs, topic, signal }),
      );
      link.noteSuccess();
      return answer;
    } catch (error) {
      core.reportFailure(link, error);
      throw error;
    }
  }
}

function decoded<Answer extends OffsetAnswer>(
  method: OffsetMethod<never, Answer>,
  place: { readonly address: string; readonly topic: string },
  bytes: Buffer,
): Answer {
  const name = method.path.slice(method.path.lastIndexOf("/") + 1);
  let answer: Answer;
  try {
    answer = method.response.decode(bytes);
  } catch (error) {
    const text = `${name}: ${toError(error).message}`;
    throw new ClientError("PROTOCOL", text, { ...place, cause: error });
  }
  const error = statusError(answer.status, name, place);
  if (error !== undefined) throw error;
  return answer;
}
