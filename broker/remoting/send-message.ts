// SendMessage: messages of one topic go into the log as one atomic group. The hot path: decode, check, append, reply,
// without a copy of a body and with one promise.
import {
  type MessageView,
  messagingService,
  readSendMessageRequest,
  type SendResultView,
  writeSendMessageResponse,
} from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import { type MethodHandler, RpcError, type ServerCall } from "../../transport/index.ts";
import { requireClientId } from "../clients/index.ts";
import { isPassedOn } from "../cluster/index.ts";
import { messageGroupHash, queueOfMessageGroup } from "../delivery/index.ts";
import { isDerivedTopic, type TopicConfig } from "../metadata/index.ts";
import { sendOnce } from "../sends/index.ts";
import { type Appended, type RecordDraft, RecordType, tagHash } from "../store/index.ts";
import { type Arrival, completedProperties, hasReadableDigest } from "./completed-properties.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { HeldSend } from "./held-send.ts";
import { messageFlags } from "./message-flags.ts";
import {
  foreignOwner,
  groupBrokersOf,
  isPassedToOwner,
  sendToOwner,
} from "./message-group-owner.ts";
import { checkMessage } from "./message-rules.ts";
import { type AcceptedType, checkMessageType } from "./message-type.ts";
import { notServedHere } from "./owner.ts";
import { existingTopic, requireWritable } from "./resources.ts";
import { SendElsewhere } from "./send-elsewhere.ts";
import { isOneRefusal, type Respond, refusalsOf, respondFor } from "./send-parts.ts";
import type { TrafficCount } from "./traffic.ts";
import { failureOf, multipleResults, okStatus, statusOf } from "./unary.ts";

const { path } = messagingService.methods.SendMessage;

/** What a send needs to know of a topic, looked up once. */
interface SendTopic {
  readonly config: TopicConfig;
  /** The type that messages are checked against; derived topics take any. */
  readonly accepts: AcceptedType;
  readonly traffic: TrafficCount;
  /** Brokers among which message groups are spread; undefined when all live here. */
  readonly groupBrokers: readonly string[] | undefined;
  nextQueueId: number;
}

/** What one call is about. */
interface Sending extends Arrival {
  readonly topic: SendTopic;
  readonly parts: LocalParts;
  readonly call: ServerCall;
  /** The queue of messages that may go to any. */
  readonly queueId: number;
}

/** Messages to be stored together, and how they are answered. */
interface SendRequest {
  readonly messages: readonly MessageView[];
  readonly respond: Respond;
}

/** Messages that have passed all checks. */
interface Taken {
  readonly drafts: readonly RecordDraft[];
  readonly held: HeldSend | undefined;
  /** Of the bodies. */
  readonly bytes: number;
}

/** The handler of SendMessage. */
export function sendMessage(context: RemotingContext): MethodHandler {
  const sender = new Sender(context);
  return {
    kind: "unary",
    requestSizeMax: limits.sendRequestSizeMax,
    handle: (request, call) => sender.handle(request, call),
  };
}

class Sender {
  readonly #context: RemotingContext;
  /** What the broker served when the topics below were looked up. */
  #parts: LocalParts | undefined;
  #forget: (() => void) | undefined;
  readonly #topics = new Map<string, SendTopic>();

  readonly #elsewhere: SendElsewhere;

  constructor(context: RemotingContext) {
    this.#context = context;
    this.#elsewhere = new SendElsewhere(context);
  }

  handle(request: Uint8Array, call: ServerCall): Uint8Array | Promise<Uint8Array> {
    try {
      requireClientId(call.header("x-mq-client-id"));
      const messages = readMessages(request);
      const name = topicOf(messages);
      const parts = this.#serving();
      const topic = parts === undefined ? undefined : this.#topics.get(name);
      if (parts !== undefined && topic !== undefined) {
        const owner = this.#foreignOwner(messages, topic, call);
        if (owner !== undefined) return this.#sendToOwner(owner, topic, { request, call });
        return this.#send(messages, topic, { call, parts });
      }
      return this.#sendElsewhere(name, Uint8Array.from(request), call);
    } catch (error) {
      return this.#failed(error, call);
    }
  }

  /** What is served now; topics of an earlier reign are forgotten. */
  #serving(): LocalParts | undefined {
    const parts = this.#elsewhere.serving();
    if (parts === undefined || parts === this.#parts) return parts;
    this.#forget?.();
    this.#parts = parts;
    this.#topics.clear();
    this.#forget = parts.metadata.onChange((event) => {
      if (event.kind === "topic") this.#topics.delete(event.name);
    });
    return parts;
  }

  /** The other broker that the message groups live on, if they do. */
  #foreignOwner(
    messages: readonly MessageView[],
    { groupBrokers }: SendTopic,
    call: ServerCall,
  ): string | undefined {
    if (groupBrokers === undefined || isPassedToOwner(call)) return undefined;
    return foreignOwner(messages, groupBrokers, this.#context.config.values.brokerName);
  }

  async #sendToOwner(
    owner: string,
    topic: SendTopic,
    { request, call }: { readonly request: Uint8Array; readonly call: ServerCall },
  ): Promise<Uint8Array> {
    const copy = Uint8Array.from(request);
    try {
      const foreign = { topic: topic.config, owner, request: copy, call };
      const answer = await sendToOwner(this.#context, foreign);
      if (answer !== undefined) return answer;
      const parts = this.#serving();
      if (parts === undefined) throw new MqError("NOT_MASTER", "this broker takes no messages now");
      return await this.#send(readMessages(copy), topic, { call, parts });
    } catch (error) {
      return this.#failed(error, call);
    }
  }

  async #sendElsewhere(topic: string, request: Uint8Array, call: ServerCall): Promise<Uint8Array> {
    try {
      const sendHere = (): Promise<Uint8Array | undefined> =>
        this.#lookUpAndSend(topic, request, call);
      return await this.#elsewhere.handle({ topic, request, call, sendHere });
    } catch (error) {
      return this.#failed(error, call);
    }
  }

  async #lookUpAndSend(
    name: string,
    request: Uint8Array,
    call: ServerCall,
  ): Promise<Uint8Array | undefined> {
    const { config } = this.#context;
    const parts = this.#serving();
    if (parts === undefined) return undefined;
    const found = existingTopic({ config, metadata: parts.metadata }, name);
    requireWritable(found);
    const topic: SendTopic = {
      config: found,
      accepts: isDerivedTopic(name) ? "ANY" : found.messageType,
      traffic: this.#context.traffic.sent(name),
      groupBrokers: groupBrokersOf(found),
      nextQueueId: 0,
    };
    this.#topics.set(name, topic);
    const messages = readMessages(request);
    const owner = this.#foreignOwner(messages, topic, call);
    if (owner !== undefined) return await this.#sendToOwner(owner, topic, { request, call });
    return await this.#send(messages, topic, { call, parts });
  }

  #send(
    messages: readonly MessageView[],
    topic: SendTopic,
    { call, parts }: { readonly call: ServerCall; readonly parts: LocalParts },
  ): Promise<Uint8Array> | Uint8Array {
    const queueId = topic.nextQueueId;
    topic.nextQueueId = (queueId + 1) % topic.config.writeQueueNums;
    const sending = { topic, parts, call, queueId, nowMs: this.#context.clock.now() };
    const request = { messages, respond: writeSendMessageResponse };
    let taken: Taken;
    try {
      taken = this.#take(messages, sending);
    } catch (error) {
      const isAlone = messages.length === 1 || messages.length > limits.judgedApartMax;
      if (isAlone || !(error instanceof MqError)) throw error;
      return this.#sendParts(messages, sending, error);
    }
    return this.#store(request, taken, sending);
  }

  /** Sends what goes to queues of which no message is refused; `refusal` is the first one. */
  #sendParts(
    messages: readonly MessageView[],
    sending: Sending,
    refusal: MqError,
  ): Promise<Uint8Array> | Uint8Array {
    const { topic, queueId } = sending;
    for (const message of messages) checkTopic(message, topic);
    const refusals = refusalsOf(messages, {
      queueOf: (message) => queueFor(message, topic.config, groupHashOf(message)) ?? queueId,
      check: (message) => void this.#take([message], sending),
    });
    if (isOneRefusal(refusals)) throw refusal;
    const respond = respondFor(messages, refusals);
    const rest = messages.filter((_, index) => refusals[index] === undefined);
    if (rest.length === 0) return respond(multipleResults, []);
    return this.#store({ messages: rest, respond }, this.#take(rest, sending), sending);
  }

  /** Checks messages and makes their drafts; throws what the first of them is refused with. */
  #take(messages: readonly MessageView[], sending: Sending): Taken {
    const { topic, parts } = sending;
    const { maxMessageSize, timerMaxDelaySec, maxLmqConsumeQueueNum } = this.#context.config.values;
    const drafts: RecordDraft[] = [];
    let held: HeldSend | undefined;
    let bytes = 0;
    for (const message of messages) {
      checkTopic(message, topic);
      checkMessage(message, maxMessageSize);
      const kind = checkMessageType(message, topic.accepts);
      bytes += message.body.length;
      const draft = draftOf(message, topic.config, sending);
      if (kind === "DELAY" || kind === "TRANSACTION") {
        held ??= new HeldSend(parts, timerMaxDelaySec);
        drafts.push(held.draftOf(kind, message, draft));
      } else drafts.push(draft);
      if (kind === "LITE" && topic.accepts === "LITE") {
        parts.delivery.lite.topics.admit(draft, message.liteTopic ?? "", maxLmqConsumeQueueNum);
      }
    }
    return { drafts, held, bytes };
  }

  #store(request: SendRequest, taken: Taken, sending: Sending): Promise<Uint8Array> {
    const { messages, respond } = request;
    const { drafts, held, bytes } = taken;
    const { topic, parts, nowMs } = sending;
    const { store, sends } = parts;
    const mayRepeat = sends?.mayRepeat(messages, nowMs) === true;
    held?.begin();
    if (mayRepeat) return this.#sendOnce(request, taken, { ...sending, window: sends });
    return store.send(drafts, sends).then(
      (appended) => {
        this.#count(topic.traffic, drafts.length, bytes);
        const results = entries(messages, okStatus, appended);
        return respond(okStatus, held?.stored(results, drafts, appended) ?? results);
      },
      (error: unknown) => {
        held?.refused();
        return this.#failed(error, sending.call, request);
      },
    );
  }

  /** Stores what the log does not have yet; all are answered, what was there before with its first offset. */
  async #sendOnce(
    request: SendRequest,
    { drafts, held }: Taken,
    { topic, parts, call, window }: Sending & Pick<Parameters<typeof sendOnce>[0], "window">,
  ): Promise<Uint8Array> {
    const { messages, respond } = request;
    try {
      const once = await sendOnce({ window, store: parts.store }, messages, drafts);
      const { appended, isRepeat, stored } = once;
      const fresh = drafts.filter((_, index) => isRepeat[index] === false);
      const bytes = fresh.reduce((sum, { body }) => sum + body.length, 0);
      this.#count(topic.traffic, fresh.length, bytes);
      this.#context.traffic.repeats += drafts.length - fresh.length;
      const results = entries(messages, okStatus, appended);
      return respond(okStatus, held?.stored(results, stored, appended) ?? results);
    } catch (error) {
      held?.refused();
      return this.#failed(error, call, request);
    }
  }

  #count(traffic: TrafficCount, messages: number, bytes: number): void {
    traffic.messages += messages;
    traffic.bytes += bytes;
    const total = this.#context.traffic.total.in;
    total.messages += messages;
    total.bytes += bytes;
  }

  /** A message that may be stored is answered with its entry, so that a client sees which one it was. */
  #failed(error: unknown, call: ServerCall, request?: SendRequest): Uint8Array {
    if (error instanceof RpcError) throw error;
    const failure = failureOf(error, this.#context.logger, path);
    const status = statusOf(failure);
    // Nothing was written, and whoever has passed the call on knows where else to go.
    if (failure.code === "NOT_MASTER" && isPassedOn(call)) throw notServedHere();
    if (request === undefined) return writeSendMessageResponse(status, []);
    const { messages, respond } = request;
    return respond(status, isStored(failure) ? entries(messages, status, []) : []);
  }
}

/** Whether the message is in the log here, although it could not be answered OK: such a failure names its position. */
function isStored({ code, facts }: MqError): boolean {
  if (code === "HA_NOT_AVAILABLE") return facts["position"] !== undefined;
  return code === "MASTER_PERSISTENCE_TIMEOUT" || code === "SLAVE_PERSISTENCE_TIMEOUT";
}

function readMessages(request: Uint8Array): readonly MessageView[] {
  try {
    return readSendMessageRequest(request);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new MqError("MESSAGE_CORRUPTED", `the request cannot be read: ${reason}`);
  }
}

function topicOf(messages: readonly MessageView[]): string {
  const first = messages[0];
  if (first === undefined) throw new MqError("MESSAGE_CORRUPTED", "the request holds no message");
  return first.topic;
}

function draftOf(
  message: MessageView,
  topic: TopicConfig,
  chosen: Arrival & { readonly queueId: number },
): RecordDraft {
  const hash = groupHashOf(message);
  return {
    type: RecordType.message,
    flags: messageFlags.sent | (hasReadableDigest(message) ? 0 : messageFlags.bodyDigestMissing),
    topic: topic.name,
    queueId: queueFor(message, topic, hash) ?? chosen.queueId,
    systemProperties: completedProperties(message, chosen),
    userProperties: message.userProperties,
    body: message.body,
    tagHash: message.tag === undefined ? 0 : tagHash(message.tag),
    messageGroupHash: hash,
  };
}

/** Of what keeps the order of a message: its message group or lite topic; 0 without one. */
function groupHashOf({ messageGroup, liteTopic }: MessageView): number {
  const ordered = messageGroup || liteTopic;
  return ordered ? messageGroupHash(ordered) : 0;
}

/** The queue that a message has to go to; undefined when any will do. */
function queueFor(
  { queueId, priority = 0 }: MessageView,
  topic: TopicConfig,
  messageGroupHash: number,
): number | undefined {
  // Clients choose the queue of a message group in as many ways as there are clients: the server does.
  if (messageGroupHash > 0) return queueOfMessageGroup(messageGroupHash, topic.writeQueueNums);
  if (topic.messageType === "PRIORITY") return Math.min(priority, limits.priorityMax);
  // 0 is also what clients send that do not choose.
  return queueId > 0 && queueId < topic.writeQueueNums ? queueId : undefined;
}

/** One entry a message, in order. RocketMQ's transaction id is the message id for every message. */
function entries(
  messages: readonly MessageView[],
  status: { readonly code: number; readonly message: string },
  appended: readonly Appended[],
): SendResultView[] {
  return messages.map(({ messageId }, index) => ({
    code: status.code,
    message: status.message,
    messageId,
    transactionId: messageId,
    offset: appended[index]?.queueOffset ?? 0,
  }));
}

function checkTopic({ topic }: MessageView, { config }: SendTopic): void {
  if (topic === config.name) return;
  throw new MqError(
    "MESSAGE_CORRUPTED",
    `the request holds messages of the topics ${config.name} and ${topic}; send one topic at a time`,
  );
}
