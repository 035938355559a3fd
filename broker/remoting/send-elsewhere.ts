// A send whose topic cannot be written here, or is not known here: it goes to a live master of the topic, or makes the
// topic here when nobody has it and that is allowed.
import { messagingService } from "@cometmq/proto";
import type { ServerCall } from "../../transport/index.ts";
import { isPassedOn, isWritable, type TopicPlace } from "../cluster/index.ts";
import { checkTopicName } from "../metadata/index.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { passOn, untilServed } from "./owner.ts";
import { requireWritable, topicFor } from "./resources.ts";

const { path } = messagingService.methods.SendMessage;

/** Takes the messages of a request into a topic that can be written here; undefined when it no longer can. */
export type SendHere = () => Promise<Uint8Array | undefined>;

/** A send that was not served at once. */
export interface HomelessSend {
  readonly topic: string;
  /** A copy of the request. */
  readonly request: Uint8Array;
  readonly call: ServerCall;
  readonly sendHere: SendHere;
}

/** Finds a master for sends. */
export class SendElsewhere {
  readonly #context: RemotingContext;
  /** Masters of a topic take turns. */
  #turn = 0;

  constructor(context: RemotingContext) {
    this.#context = context;
  }

  /** What serves sends here now; undefined while this broker takes none. */
  serving(): LocalParts | undefined {
    const parts = this.#context.local();
    if (parts?.canSend !== true) return undefined;
    return (this.#context.config.values.brokerPermission & writeBit) === 0 ? undefined : parts;
  }

  /**
   * Gives the answer of whoever has taken the messages. Throws TOPIC_NOT_FOUND, FORBIDDEN (nobody may be written to),
   * HA_NOT_AVAILABLE (no master has appeared in time).
   */
  handle(send: HomelessSend): Promise<Uint8Array> {
    return untilServed(this.#context, send.call, () => this.#attempt(send));
  }

  async #attempt(send: HomelessSend): Promise<Uint8Array | undefined> {
    if (this.#context.local()?.metadata.topic(send.topic) === undefined) checkTopicName(send.topic);
    const parts = this.serving();
    const topic = parts?.metadata.topic(send.topic);
    if (parts !== undefined && topic !== undefined && (topic.perm & writeBit) !== 0) {
      return await send.sendHere();
    }
    if (!isPassedOn(send.call)) {
      const targets = await this.#targets(send.topic);
      for (const address of targets) {
        const passing = { path, request: send.request, topic: send.topic };
        const answer = await passOn(this.#context, send.call, { address, passing });
        if (answer !== undefined) return answer;
      }
      if (targets.length > 0) return undefined;
    }
    return await this.#here(send);
  }

  /** Nobody else has the topic: it is made here, or refused. */
  async #here(send: HomelessSend): Promise<Uint8Array | undefined> {
    const { config } = this.#context;
    const local = this.#context.local();
    if (local?.canSend !== true) return undefined;
    const { metadata } = local;
    const known = metadata.topic(send.topic);
    if (known !== undefined) {
      if (isPassedOn(send.call)) return undefined;
      requireWritable({ ...known, perm: known.perm & config.values.brokerPermission });
    }
    if (this.serving() === undefined) return undefined;
    await topicFor({ config, metadata }, send.topic);
    return this.#context.local() === local ? await send.sendHere() : undefined;
  }

  /** Addresses of masters that may take it: this broker's own master first, then those of the topic in turn. */
  async #targets(topic: string): Promise<readonly string[]> {
    const { view } = this.#context.cluster;
    const [ownMaster, known] = await Promise.all([view.ownMaster(), view.knownTopic(topic)]);
    let others = known.filter(isOther);
    // That nobody has it must not be an old story.
    if (others.length === 0) others = (await view.topic(topic)).filter(isOther);
    const turned = this.#takeTurns(others).map(({ address }) => address);
    if (ownMaster === undefined) return turned;
    return [ownMaster, ...turned.filter((address) => address !== ownMaster)];
  }

  #takeTurns(places: readonly TopicPlace[]): readonly TopicPlace[] {
    if (places.length < 2) return places;
    const first = this.#turn++ % places.length;
    return [...places.slice(first), ...places.slice(0, first)];
  }
}

function isOther(place: TopicPlace): boolean {
  return !place.isOwn && isWritable(place);
}

const writeBit = 2;
