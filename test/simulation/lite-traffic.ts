// Clients of a simulated cluster that send to lite topics, and two of one group that subscribe to some of them each. What is
// drawn for them does not touch what other clients and faults draw.
import {
  type Delivered,
  matchAll,
  messageGroupHash,
  queueOfMessageGroup,
} from "../../broker/delivery/index.ts";
import type { GroupConfig, TopicConfig } from "../../broker/metadata/index.ts";
import { RecordType } from "../../broker/store/index.ts";
import { LiteHolds } from "./lite-holds.ts";
import { liteTopic } from "./names.ts";
import { noteFailure, type ServingPlace, servingPlace } from "./place.ts";
import { PromisedProgress } from "./promised-progress.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { Acked, Given, Told } from "./told.ts";
import type { Watch } from "./watch.ts";
import type { World } from "./world.ts";

/** A client, and what it has told whom. */
interface Client {
  readonly id: string;
  readonly wanted: readonly string[];
  /** The names it has said, by the broker it has said them to. */
  readonly said: WeakMap<object, readonly string[]>;
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

interface Names {
  readonly group: GroupConfig;
  readonly topic: TopicConfig;
}

const nothing = new Uint8Array(0);
const groupName = "servers";
const queueCount = 2;
const liteTopics = ["lounge", "kitchen", "hall", "attic", "cellar"] as const;
const wishes = { near: liteTopics.slice(0, 4), far: liteTopics.slice(2) } as const;
const sendEveryMs = 50;
const receiveEveryMs = 75;
/** One of so many is not acknowledged when it comes first: it comes again, before what is behind it. */
const leftOfMany = 15;
/** One of so many times a client says anew what it wants, and until all is healed less than all of it. */
const sayOfMany = 25;
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
  #sent = 0;
  #isSending = true;
  #isReceiving = true;

  constructor(world: World, watch: Watch) {
    this.#world = world;
    this.#watch = watch;
    this.#random = world.forked("lite topics");
    this.#progress = new PromisedProgress(world, watch, watch.log.lite);
    this.#send();
    for (const [id, wanted] of Object.entries(wishes)) {
      this.#receive({ id, wanted, said: new WeakMap(), busy: new WeakSet() });
    }
  }

  stopSending(): void {
    this.#isSending = false;
  }

  stop(): void {
    this.stopSending();
    this.#isReceiving = false;
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
    if (metadata.topic(liteTopic) === undefined) {
      await metadata.ensureTopic({
        name: liteTopic,
        readQueueNums: queueCount,
        writeQueueNums: queueCount,
        messageType: "LITE",
      });
      await metadata.ensureGroup({ name: groupName, consumeMessageOrderly: true });
      return;
    }
    this.#sent += 1;
    const name = this.#random.pick(liteTopics);
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
    await this.#subscribe(client, place, { topic, group });
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

  /** Subscriptions live in memory: each broker that serves anew has to be told. */
  async #subscribe(client: Client, { local }: ServingPlace, names: Names): Promise<void> {
    const { wanted, said, id } = client;
    const { isHealed } = this.#world;
    const known = said.get(local.delivery);
    const isWhole = known?.length === wanted.length;
    const isDue = this.#random.below(sayOfMany) === 0 || (isHealed && !isWhole);
    if (known !== undefined && !isDue) return;
    const first = isHealed ? 0 : this.#random.below(2);
    const wants = wanted.slice(first);
    const quota = { clientMax: 10, countMax: 100, isExclusive: false };
    const change = { change: "set", names: wants } as const;
    await local.delivery.lite.sync({ ...names, ...quota, ...change, clientId: id });
    said.set(local.delivery, wants);
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
    this.given.push({ body, queueId, offset, atMs, name: by, knownUpTo });
    const name = body.slice(body.lastIndexOf(" ") + 1);
    const key = `${queueId}/${offset}`;
    if (client.said.get(delivery)?.includes(name) !== true) {
      problems.push(`${body} came from ${by} at ${atMs} to ${client.id}, which does not want it`);
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
