// Clients of a simulated cluster that send messages of several priorities, and one that consumes them and stays behind now
// and then. What is drawn for them does not touch what other clients and faults draw.
import { type Delivered, parseFilter } from "../../broker/delivery/index.ts";
import { RecordType } from "../../broker/store/index.ts";
import type { Machine } from "./machine.ts";
import { priorityTopic } from "./names.ts";
import { noteFailure, type ServingPlace, servingPlace } from "./place.ts";
import { PromisedProgress } from "./promised-progress.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { Acked, Given, Told } from "./told.ts";
import type { Watch } from "./watch.ts";
import type { World } from "./world.ts";

/** A receive, as the consumer knows it. */
interface Receive {
  readonly machine: Machine;
  readonly beganAtMs: number;
  /** Up to where the broker knew its log. */
  readonly knownUpTo: number;
}

/** A message that was given and is not acknowledged. */
interface Left {
  readonly priority: number;
  readonly by: ServingPlace["local"]["delivery"];
  /** From when on it is visible again for sure, at a slow clock. */
  readonly visibleAtMs: number;
}

const nothing = new Uint8Array(0);
const group = "workers";
const priorities = [0, 1, 9, 200, 255] as const;
const sendEveryMs = 40;
const receiveEveryMs = 50;
const countMax = 4;
/** The consumer is away for the last third of each such time, until all is healed: something has to wait. */
const hereEveryMs = 900;
/** One of so many is not acknowledged when it comes first: it comes again. */
const leftOfMany = 12;
/** What the slowest clock makes of a time, and a moment. */
const slowest = 1.1;
const momentMs = 20;
/** After trouble with a disk lower ones may come before what could not be read. */
const troubleMs = 1_500;

/** Sends and receives, at whoever serves. */
export class PriorityTraffic implements Told {
  readonly acked: Map<string, Acked> = new Map();
  readonly given: Given[] = [];
  /** Answered OK, and given to nobody yet. */
  readonly #fresh = new Map<string, Acked>();
  readonly #left = new Map<string, Left>();
  readonly #world: World;
  readonly #watch: Watch;
  readonly #random: SeededRandom;
  readonly #progress: PromisedProgress;
  /** Who is being asked: one receive at a time. */
  readonly #busy = new WeakSet<object>();
  #sent = 0;
  #isSending = true;
  #isReceiving = true;

  constructor(world: World, watch: Watch) {
    this.#world = world;
    this.#watch = watch;
    this.#random = world.forked("priorities");
    this.#progress = new PromisedProgress(world, watch, watch.log.priorities);
    this.#send();
    this.#receive();
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
    if (metadata.topic(priorityTopic) === undefined) {
      await metadata.ensureTopic({
        name: priorityTopic,
        readQueueNums: 1,
        messageType: "PRIORITY",
      });
      await metadata.ensureGroup({ name: group });
      return;
    }
    this.#sent += 1;
    const queueId = this.#random.pick(priorities);
    const body = `task ${this.#sent} of priority ${queueId}`;
    const { epoch } = store;
    const [appended] = await store.send([
      {
        type: RecordType.message,
        topic: priorityTopic,
        queueId,
        systemProperties: nothing,
        userProperties: nothing,
        body: Buffer.from(body.padEnd(120)),
      },
    ]);
    const { position = -1, queueOffset: offset = -1 } = appended ?? {};
    const atMs = this.#world.time.nowMs;
    const acked = { atMs, brokerId: machine.id, epoch, queueId, offset, position };
    this.acked.set(body, acked);
    if (!this.given.some((given) => given.body === body)) this.#fresh.set(body, acked);
  }

  #receive(): void {
    if (!this.#isReceiving) return;
    const { clock, time, isHealed } = this.#world;
    clock.after(1 + this.#random.next() * 2 * receiveEveryMs, () => this.#receive());
    const isHere = isHealed || time.nowMs % hereEveryMs < hereEveryMs / 1.5;
    const place = isHere ? this.#serving(false) : undefined;
    if (place === undefined || this.#busy.has(place.local.delivery)) return;
    this.#busy.add(place.local.delivery);
    this.#receiveFrom(place)
      .catch((error: unknown) => noteFailure(this.#watch.problems, error))
      .finally(() => this.#busy.delete(place.local.delivery));
  }

  async #receiveFrom({ machine, local }: ServingPlace): Promise<void> {
    const { metadata, delivery, store } = local;
    const [topic, consumers] = [metadata.topic(priorityTopic), metadata.group(group)];
    if (topic === undefined || consumers === undefined) return;
    const { time, clock } = this.#world;
    const knownUpTo = local.canSend
      ? store.dispatched
      : this.#watch.commonUpTo(machine, store.dispatched);
    const beganAtMs = time.nowMs;
    const invisibleMs = 500 + this.#random.below(1_500);
    const messages = await delivery.receive({
      group: consumers,
      topic,
      queueId: -1,
      countMax,
      invisibleMs,
      autoRenew: false,
      filter: parseFilter(1, "*"),
      pollingMs: 0,
      clientId: "worker",
      signal: new AbortController().signal,
      isClientGone: () => false,
    });
    const receive = { machine, beganAtMs, knownUpTo };
    for (const message of messages) this.#take(message, receive);
    if (local.canSend && messages.length > 0) this.#checkOrder(messages, receive, delivery);
    for (const { record, receiptHandle, queueId, queueOffset, attempt } of messages) {
      const text = textOf(record);
      const isLeft = attempt === 1 && this.#random.below(leftOfMany) === 0;
      if (!isLeft) {
        const key = `${queueId}/${queueOffset}`;
        clock.after(this.#random.next() * 40, () => this.#ack(key, receiptHandle));
        this.#left.delete(text);
        continue;
      }
      const visibleAtMs = time.nowMs + invisibleMs * slowest + momentMs;
      this.#left.set(text, { priority: queueId, by: delivery, visibleAtMs });
    }
  }

  #take({ record, queueId, queueOffset: offset }: Delivered, receive: Receive): void {
    const { machine, knownUpTo } = receive;
    const body = textOf(record);
    const atMs = this.#world.time.nowMs;
    this.given.push({ body, queueId, offset, atMs, name: machine.name, knownUpTo });
    this.#fresh.delete(body);
  }

  /** Nothing that was ready when the master was asked may be left behind by a lower priority. */
  #checkOrder(
    messages: readonly Delivered[],
    { machine, beganAtMs, knownUpTo }: Receive,
    delivery: Left["by"],
  ): void {
    const { problems, log } = this.#watch;
    const { mode, time, isForgiven } = this.#world;
    const lowest = Math.min(...messages.map(({ queueId }) => queueId));
    const texts = new Set(messages.map(({ record }) => textOf(record)));
    const say = (text: string): void => {
      problems.push(`${machine.name} gave priority ${lowest} at ${time.nowMs} before ${text}`);
    };
    for (const [index, { queueId, record }] of messages.entries()) {
      const before = messages[index - 1]?.queueId ?? queueId;
      if (queueId > before) {
        problems.push(`${textOf(record)} came behind priority ${before} from ${machine.name}`);
      }
    }
    // What the disk cannot read is passed over; small disks lose what nobody has had.
    if (machine.diskTroubleAtMs > beganAtMs - troubleMs || mode.isRetaining) return;
    if (isForgiven) return;
    for (const [text, { queueId, position }] of this.#fresh) {
      const isThere = log.priorities.messages.get(text)?.position === position;
      if (isThere && position < knownUpTo && queueId > lowest) say(text);
    }
    for (const [text, { priority, by, visibleAtMs }] of this.#left) {
      const isReady = by === delivery && visibleAtMs < beganAtMs && !texts.has(text);
      if (isReady && priority > lowest) say(text);
    }
  }

  #ack(key: string, handle: string): void {
    const place = this.#serving(false);
    if (place?.local.delivery.ack(group, priorityTopic, handle) !== "ok") return;
    if (place.local.canSend) this.#progress.expect(key, place);
  }
}

function textOf(record: Delivered["record"]): string {
  return Buffer.from(record.body).toString().trim();
}
