// The clients of a simulated cluster: one that sends and one that consumes, at whoever serves, and what they were told.
import { parseFilter } from "../../broker/delivery/index.ts";
import { RecordType } from "../../broker/store/index.ts";
import { DelayedTraffic } from "./delayed-traffic.ts";
import { LiteTraffic } from "./lite-traffic.ts";
import { plainTopic } from "./names.ts";
import { noteFailure, type ServingPlace, servingPlace } from "./place.ts";
import { PriorityTraffic } from "./priority-traffic.ts";
import { PromisedProgress } from "./promised-progress.ts";
import type { Acked, Given, Told } from "./told.ts";
import { TransactionTraffic } from "./transaction-traffic.ts";
import type { Watch } from "./watch.ts";
import type { World } from "./world.ts";

const nothing = new Uint8Array(0);
const queueCount = 2;
/** Message groups of ordered traffic; each has its queue. */
const messageGroupCount = 7;

/** Clients, and what they know. */
export class Traffic implements Told {
  readonly acked: Map<string, Acked> = new Map();
  readonly given: Given[] = [];
  readonly delayed: DelayedTraffic;
  /** Of seeds that have producers of transactional messages. */
  readonly transactions: TransactionTraffic | undefined;
  /** Of seeds that have messages with priorities. */
  readonly priorities: PriorityTraffic | undefined;
  /** Of seeds that have lite topics. */
  readonly lite: LiteTraffic | undefined;
  /** Acknowledgements of consumers that were taken. */
  consumedCount = 0;
  /** The broker that has acknowledged in each epoch. */
  readonly #rulers = new Map<number, number>();
  readonly #world: World;
  readonly #problems: string[];
  readonly #watch: Watch;
  readonly #progress: PromisedProgress;
  #sent = 0;
  #isSending = true;
  #isReceiving = true;

  constructor(world: World, watch: Watch) {
    this.#world = world;
    this.#problems = watch.problems;
    this.#watch = watch;
    this.#progress = new PromisedProgress(world, watch, watch.log.plain);
    this.delayed = new DelayedTraffic(world, watch.problems);
    if (world.mode.isTransactional) this.transactions = new TransactionTraffic(world, watch);
    world.asked = this.transactions;
    if (world.mode.hasPriorities) this.priorities = new PriorityTraffic(world, watch);
    if (world.mode.isLite) this.lite = new LiteTraffic(world, watch);
    this.#send();
    this.#receive();
  }

  stopSending(): void {
    this.#isSending = false;
    this.delayed.stopSending();
    this.transactions?.stopSending();
    this.priorities?.stopSending();
    this.lite?.stopSending();
  }

  stop(): void {
    this.stopSending();
    this.#isReceiving = false;
    this.transactions?.stop();
    this.priorities?.stop();
    this.lite?.stop();
  }

  #serving(needsSend: boolean): ServingPlace | undefined {
    const { machines, random } = this.#world;
    return servingPlace(machines, random, ({ canSend }) => canSend || !needsSend);
  }

  #send(): void {
    if (!this.#isSending) return;
    const { random, clock, mode } = this.#world;
    clock.after(1 + random.next() * (2 * mode.sendEveryMs - 2), () => this.#send());
    const place = this.#serving(true);
    if (place !== undefined)
      this.#sendTo(place).catch((error: unknown) => noteFailure(this.#problems, error));
  }

  async #sendTo({ machine, local }: ServingPlace): Promise<void> {
    const { time, mode } = this.#world;
    if (local.metadata.topic(plainTopic) === undefined) {
      await local.metadata.ensureTopic({
        name: plainTopic,
        readQueueNums: queueCount,
        writeQueueNums: queueCount,
      });
      await local.metadata.ensureGroup({ name: "g", consumeMessageOrderly: mode.isOrdered });
      return;
    }
    this.#sent += 1;
    const body = `message ${this.#sent}`;
    const { epoch } = local.store;
    const messageGroupHash = mode.isOrdered ? 1 + (this.#sent % messageGroupCount) : 0;
    const queueId = (mode.isOrdered ? messageGroupHash : this.#sent) % queueCount;
    const [appended] = await local.store.send([
      {
        type: RecordType.message,
        topic: plainTopic,
        queueId,
        systemProperties: nothing,
        userProperties: nothing,
        body: Buffer.from(body.padEnd(mode.isRetaining ? 700 : 120)),
        messageGroupHash,
      },
    ]);
    const known = this.#rulers.get(epoch) ?? machine.id;
    if (known !== machine.id) {
      this.#problems.push(
        `brokers ${known} and ${machine.id} have both acknowledged in epoch ${epoch}`,
      );
    }
    this.#rulers.set(epoch, known);
    const { position = -1, queueOffset: offset = -1 } = appended ?? {};
    const brokerId = machine.id;
    this.acked.set(body, { atMs: time.nowMs, brokerId, epoch, queueId, offset, position });
  }

  #receive(): void {
    if (!this.#isReceiving) return;
    const { random, clock } = this.#world;
    clock.after(2 + random.next() * 20, () => this.#receive());
    const place = this.#serving(false);
    if (place !== undefined)
      this.#receiveFrom(place).catch((error: unknown) => noteFailure(this.#problems, error));
  }

  async #receiveFrom({ machine, local }: ServingPlace): Promise<void> {
    const [topic, group] = [local.metadata.topic(plainTopic), local.metadata.group("g")];
    if (topic === undefined || group === undefined) return;
    const { time, clock, random } = this.#world;
    const { dispatched } = local.store;
    const knownUpTo = local.canSend ? dispatched : this.#watch.commonUpTo(machine, dispatched);
    const messages = await local.delivery.receive({
      group,
      topic,
      queueId: -1,
      countMax: 16,
      invisibleMs: 1_000 + Math.floor(random.next() * 3_000),
      autoRenew: false,
      filter: parseFilter(1, "*"),
      pollingMs: 0,
      clientId: "c",
      signal: new AbortController().signal,
      isClientGone: () => false,
    });
    const { name } = machine;
    for (const { record, receiptHandle, queueId, queueOffset: offset } of messages) {
      const body = Buffer.from(record.body).toString().trim();
      this.given.push({ body, queueId, offset, atMs: time.nowMs, name, knownUpTo });
      clock.after(random.next() * 40, () => this.#ack(`${queueId}/${offset}`, receiptHandle));
    }
  }

  #ack(key: string, handle: string): void {
    const place = this.#serving(false);
    if (place?.local.delivery.ack("g", plainTopic, handle) !== "ok") return;
    this.consumedCount += 1;
    if (place.local.canSend) this.#progress.expect(key, place);
  }
}
