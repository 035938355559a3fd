// Clients of a simulated cluster that send to lite topics, and two of one group that subscribe to some of them each. What is
// drawn for them does not touch what other clients and faults draw.
import {
  type Delivered,
  matchAll,
  messageGroupHash,
  queueOfMessageGroup,
} from "../../broker/delivery/index.ts";
import { RecordType } from "../../broker/store/index.ts";
import { ExclusiveWishes } from "./exclusive-wishes.ts";
import { LiteHolds } from "./lite-holds.ts";
import { LiteIdleness } from "./lite-idleness.ts";
import { type LiteClient, type LiteWishes, SharedWishes } from "./lite-wishes.ts";
import { liteTopic } from "./names.ts";
import { noteFailure, type ServingPlace, servingPlace } from "./place.ts";
import { PromisedProgress } from "./promised-progress.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { Acked, Given, Told } from "./told.ts";
import type { Watch } from "./watch.ts";
import type { World } from "./world.ts";

/** A client that receives. */
interface Client extends LiteClient {
  /** Who is being asked: one call at a time. */
  readonly busy: WeakSet<object>;
}

/** A receive, as the client knows it. */
interface Receive {
  readonly client: Client;
  readonly place: ServingPlace;
  readonly beganAtMs: number;
  readonly invisibleMs: number;
  /** Up to where the broker knew its log. */
  readonly knownUpTo: number;
}

const nothing = new Uint8Array(0);
const groupName = "servers";
const queueCount = 2;
const liteTopics = ["lounge", "kitchen", "hall", "attic", "cellar"] as const;
const wishes = { near: liteTopics.slice(0, 4), far: liteTopics.slice(2) } as const;
/** Minutes. */
const expiring = { "lite.topic.expiration": "1" };
const sendEveryMs = 50;
const receiveEveryMs = 75;
/** One of so many is not acknowledged when it comes first: it comes again, before what is behind it. */
const leftOfMany = 15;
/** What the fastest clock makes of a time, and a moment. */
const fastest = 1 / 1.1;
const momentMs = 5;

/** Sends, subscribes and receives, at whoever serves. */
export class LiteTraffic implements Told {
  readonly acked: Map<string, Acked> = new Map();
  readonly given: Given[] = [];
  readonly #holds = new LiteHolds();
  readonly #world: World;
  readonly #watch: Watch;
  readonly #random: SeededRandom;
  readonly #progress: PromisedProgress;
  readonly #wishes: LiteWishes;
  /** Of seeds whose lite topics expire. */
  readonly #idleness: LiteIdleness | undefined;
  #sent = 0;
  #isSending = true;
  #isReceiving = true;

  constructor(world: World, watch: Watch) {
    this.#world = world;
    this.#watch = watch;
    this.#random = world.forked("lite topics");
    this.#progress = new PromisedProgress(world, watch, watch.log.lite);
    const clients = Object.entries(wishes).map(([id, wanted]) => ({ id, wanted }));
    this.#wishes = world.mode.isExclusive
      ? new ExclusiveWishes(world, watch.problems, { name: groupName, clients })
      : new SharedWishes(world, this.#random);
    if (world.mode.isExpiring) this.#idleness = new LiteIdleness(world, watch);
    this.#send();
    for (const client of clients) this.#receive({ ...client, busy: new WeakSet() });
  }

  stopSending(): void {
    this.#isSending = false;
  }

  stop(): void {
    this.stopSending();
    this.#isReceiving = false;
    this.#wishes.stop();
    this.#idleness?.stop();
  }

  /** A lite topic that was idle is gone with what waited in it. */
  mayBeGone(body: string): boolean {
    return this.#idleness?.mayBeGone(body) === true;
  }

  /** How many have gone so, before anybody was given them. */
  get goneCount(): number {
    const given = new Set(this.given.map(({ body }) => body));
    const waiting = [...this.acked.keys()].filter((body) => !given.has(body));
    return waiting.filter((body) => this.mayBeGone(body)).length;
  }

  #serving(needsSend: boolean): ServingPlace | undefined {
    const { machines } = this.#world;
    return servingPlace(machines, this.#random, ({ canSend }) => canSend || !needsSend);
  }

  #send(): void {
    if (!this.#isSending) return;
    this.#world.clock.after(1 + this.#random.next() * 2 * sendEveryMs, () => this.#send());
    const place = this.#serving(true);
    if (place === undefined) return;
    this.#sendTo(place).catch((error: unknown) => noteFailure(this.#watch.problems, error));
  }

  async #sendTo({ machine, local }: ServingPlace): Promise<void> {
    const { metadata, store } = local;
    if (metadata.topic(liteTopic) === undefined || metadata.group(groupName) === undefined) {
      await metadata.ensureTopic({
        name: liteTopic,
        readQueueNums: queueCount,
        writeQueueNums: queueCount,
        messageType: "LITE",
        ...(this.#idleness === undefined ? {} : { attributes: expiring }),
      });
      const { attributes } = this.#wishes;
      await metadata.ensureGroup({ name: groupName, consumeMessageOrderly: true, attributes });
      return;
    }
    this.#sent += 1;
    const name = this.#random.pick(this.#idleness?.lively(liteTopics) ?? liteTopics);
    const body = `lite ${this.#sent} ${name}`;
    const hash = messageGroupHash(name);
    const queueId = queueOfMessageGroup(hash, queueCount);
    const { epoch } = store;
    const [appended] = await store.send([
      {
        type: RecordType.message,
        topic: liteTopic,
        queueId,
        systemProperties: nothing,
        userProperties: nothing,
        body: Buffer.from(body.padEnd(120)),
        messageGroupHash: hash,
      },
    ]);
    const { position = -1, queueOffset: offset = -1 } = appended ?? {};
    const atMs = this.#world.time.nowMs;
    this.acked.set(body, { atMs, brokerId: machine.id, epoch, queueId, offset, position });
  }

  #receive(client: Client): void {
    if (!this.#isReceiving) return;
    const delayMs = 1 + this.#random.next() * 2 * receiveEveryMs;
    this.#world.clock.after(delayMs, () => this.#receive(client));
    const place = this.#serving(false);
    if (place === undefined || client.busy.has(place.local.delivery)) return;
    client.busy.add(place.local.delivery);
    this.#receiveFrom(client, place)
      .catch((error: unknown) => noteFailure(this.#watch.problems, error))
      .finally(() => client.busy.delete(place.local.delivery));
  }

  async #receiveFrom(client: Client, place: ServingPlace): Promise<void> {
    const { machine, local } = place;
    const { metadata, delivery, store } = local;
    const [topic, group] = [metadata.topic(liteTopic), metadata.group(groupName)];
    if (topic === undefined || group === undefined) return;
    await this.#wishes.say(client, place, { topic, group });
    const knownUpTo = local.canSend
      ? store.dispatched
      : this.#watch.commonUpTo(machine, store.dispatched);
    const beganAtMs = this.#world.time.nowMs;
    const invisibleMs = 500 + this.#random.below(1_500);
    const messages = await delivery.receive({
      group,
      topic,
      queueId: -1,
      countMax: 4,
      invisibleMs,
      autoRenew: false,
      filter: matchAll,
      pollingMs: this.#random.pick([0, 100]),
      clientId: client.id,
      signal: new AbortController().signal,
      isClientGone: () => false,
    });
    const receive = { client, place, beganAtMs, invisibleMs, knownUpTo };
    for (const message of messages) this.#take(message, receive);
  }

  #take(message: Delivered, receive: Receive): void {
    const { record, queueId, queueOffset: offset, receiptHandle, attempt } = message;
    const { client, place, beganAtMs, invisibleMs, knownUpTo } = receive;
    const { delivery } = place.local;
    const { problems } = this.#watch;
    const { name: by } = place.machine;
    const { clock, time } = this.#world;
    const atMs = time.nowMs;
    const body = Buffer.from(record.body).toString().trim();
    if (this.#isPastIdleness(body, { queueId, offset, place })) {
      problems.push(`${body} came from ${by} at ${atMs}, and its lite topic has been idle before`);
    }
    this.given.push({ body, queueId, offset, atMs, name: by, knownUpTo });
    const name = body.slice(body.lastIndexOf(" ") + 1);
    const key = `${queueId}/${offset}`;
    const objection = this.#wishes.objection(client, place, name);
    if (objection !== undefined) {
      problems.push(`${body} came from ${by} at ${atMs} to ${client.id}, ${objection}`);
    }
    const untilMs = beganAtMs + invisibleMs * fastest - momentMs;
    const hold = { name, key, clientId: client.id, untilMs, nowMs: atMs };
    const holder = this.#holds.give(delivery, hold);
    if (holder !== undefined) {
      problems.push(
        `${body} came from ${by} at ${atMs} to ${client.id} while ${holder} has others`,
      );
    }
    if (attempt === 1 && this.#random.below(leftOfMany) === 0) return;
    const acked = { name, key, receiptHandle };
    clock.after(this.#random.next() * 40, () => this.#ack(acked));
  }

  /** Whether a message should be gone: nobody has had it, and it waits in an idle lite topic. */
  #isPastIdleness(
    body: string,
    at: { readonly queueId: number; readonly offset: number; readonly place: ServingPlace },
  ): boolean {
    // An acting slave may not have all that its master has noted.
    if (this.#idleness === undefined || !at.place.local.canSend) return false;
    if (this.given.some((given) => given.body === body)) return false;
    // What is being read for somebody still comes.
    if (this.#watch.log.lite.isOut(at.queueId, at.offset)) return false;
    return this.#idleness.mustBeGone(body);
  }

  #ack(message: {
    readonly name: string;
    readonly key: string;
    readonly receiptHandle: string;
  }): void {
    const place = this.#serving(false);
    if (place?.local.delivery.ack(groupName, liteTopic, message.receiptHandle) !== "ok") return;
    this.#holds.end(place.local.delivery, message);
    if (place.local.canSend) this.#progress.expect(message.key, place);
  }
}
