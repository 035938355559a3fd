// A message that was received, with the fields of the official Node.js client.
import { digestMatches, unpackBody } from "./body-digest.ts";
import type { Endpoints } from "./endpoints.ts";
import type { ReceivedMessage } from "./wire/receive-response.ts";

const encodingGzip = 2;

/** A received message. Its buffers may be views of what came from the network: copy what is kept for long. */
export class MessageView {
  readonly messageId: string;
  readonly topic: string;
  readonly tag: string | undefined;
  readonly keys: string[];
  readonly properties: Map<string, string>;
  readonly messageGroup: string | undefined;
  readonly deliveryTimestamp: Date | undefined;
  readonly bornHost: string;
  readonly bornTimestamp: Date | undefined;
  /** When the server handed it out. */
  readonly transportDeliveryTimestamp: Date | undefined;
  readonly decodeTimestamp: Date;
  /** From 1; grows with each delivery. */
  deliveryAttempt: number | undefined;
  /** The broker it came from. */
  readonly endpoints: Endpoints;
  /** The name of that broker; whoever is master of the name takes the acknowledgement. */
  readonly brokerName: string;
  /** Milliseconds since 1970 when others may get it; undefined when the broker moves that moment on by itself. */
  invisibleUntilMs: number | undefined;
  /** Names this delivery to the server; a change of the invisible duration replaces it. */
  receiptHandle: string;
  readonly queueId: number;
  /** Index in its queue. */
  readonly offset: number | undefined;
  readonly liteTopic: string | undefined;
  readonly priority: number | undefined;
  readonly #received: ReceivedMessage;
  #corrupted: boolean | undefined;
  #body: Buffer | undefined;

  constructor(
    received: ReceivedMessage,
    from: {
      readonly endpoints: Endpoints;
      readonly brokerName: string;
      readonly invisibleMs: number | undefined;
      readonly deliveredAt: Date | undefined;
      readonly decodedAt: Date;
    },
  ) {
    this.#received = received;
    this.messageId = received.messageId;
    this.topic = received.topic;
    this.tag = received.tag;
    this.keys = received.keys;
    this.properties = received.userProperties;
    this.messageGroup = received.messageGroup;
    this.deliveryTimestamp = dateOf(received.deliveryTimestampMs);
    this.bornHost = received.bornHost;
    this.bornTimestamp = dateOf(received.bornTimestampMs);
    this.transportDeliveryTimestamp = from.deliveredAt;
    this.decodeTimestamp = from.decodedAt;
    this.deliveryAttempt = received.deliveryAttempt;
    this.endpoints = from.endpoints;
    this.brokerName = from.brokerName;
    this.invisibleUntilMs =
      from.invisibleMs === undefined ? undefined : from.decodedAt.getTime() + from.invisibleMs;
    this.receiptHandle = received.receiptHandle;
    this.queueId = received.queueId;
    this.offset = received.queueOffset;
    this.liteTopic = received.liteTopic;
    this.priority = received.priority;
  }

  /** Bytes of the body as it travelled. */
  get bodySize(): number {
    return this.#received.body.length;
  }

  /** Whether the body is not what was sent: wrong digest, or packed and cannot be unpacked. Checked on first use. */
  get corrupted(): boolean {
    if (this.#corrupted === undefined) this.#open();
    return this.#corrupted === true;
  }

  /** The body, unpacked. When `corrupted`, the bytes as they came. */
  get body(): Buffer {
    if (this.#body === undefined) this.#open();
    return this.#body ?? this.#received.body;
  }

  #open(): void {
    const { body, digestType, digestChecksum, bodyEncoding } = this.#received;
    const intact = digestMatches(body, digestType, digestChecksum);
    const opened = intact && bodyEncoding === encodingGzip ? unpackBody(body) : body;
    this.#corrupted = !intact || opened === undefined;
    this.#body = opened ?? body;
  }

  getMessageId(): string {
    return this.messageId;
  }

  getTopic(): string {
    return this.topic;
  }

  /** A copy of the body. */
  getBody(): Buffer {
    return Buffer.from(this.body);
  }

  /** A copy of the properties. */
  getProperties(): Map<string, string> {
    return new Map(this.properties);
  }

  getTag(): string | undefined {
    return this.tag;
  }

  /** A copy of the keys. */
  getKeys(): string[] {
    return [...this.keys];
  }

  getMessageGroup(): string | undefined {
    return this.messageGroup;
  }

  getDeliveryTimestamp(): Date | undefined {
    return this.deliveryTimestamp;
  }

  getBornHost(): string {
    return this.bornHost;
  }

  getBornTimestamp(): Date | undefined {
    return this.bornTimestamp;
  }

  getDeliveryAttempt(): number | undefined {
    return this.deliveryAttempt;
  }

  getLiteTopic(): string | undefined {
    return this.liteTopic;
  }

  getPriority(): number | undefined {
    return this.priority;
  }
}

function dateOf(ms: number | undefined): Date | undefined {
  return ms === undefined ? undefined : new Date(ms);
}
