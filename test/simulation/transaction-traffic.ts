// Clients of a simulated cluster that send half messages and end them, at once, when they are asked, or never; and one
// that consumes what is committed. What is drawn for them does not touch what other clients and faults draw.
import { rocketmq } from "@cometmq/proto";
import { parseFilter } from "../../broker/delivery/index.ts";
import { RecordType } from "../../broker/store/index.ts";
import type { Orphan, Producers, TransactionEnd } from "../../broker/transactions/index.ts";
import { noteFailure, type ServingPlace, servingPlace } from "./place.ts";
import { PromisedChecks } from "./promised-checks.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { type Meaning, type Transaction, transactionTopic } from "./transaction-log.ts";
import type { Watch } from "./watch.ts";
import { transactionCheckIntervalMs, transactionTimeOutMs, type World } from "./world.ts";

const nothing = new Uint8Array(0);
const group = "bookings";
const queueCount = 2;
const sendEveryMs = 50;
const receiveEveryMs = 30;
/** From a send to its end, when the producer tells it by itself. */
const endsWithinMs = 1_500;
/** Producers are away for the last third of each such time, until all is healed. */
const hereEveryMs = 3_000;
const meanings: readonly Meaning[] = ["commit", "commit", "commit", "rollback", "abandoned"];
/** One of so many ends is told only when a broker asks. */
const silentOfMany = 3;

/** Sends, ends, answers and receives, at whoever serves. */
export class TransactionTraffic implements Producers {
  /** All that were sent, by their texts. */
  readonly transactions: Map<string, Transaction> = new Map();
  /** What a consumer was given, by `queue/offset`. */
  readonly given: Map<string, string> = new Map();
  readonly #world: World;
  readonly #watch: Watch;
  readonly #random: SeededRandom;
  readonly #checks: PromisedChecks;
  #isSending = true;
  #isReceiving = true;

  constructor(world: World, watch: Watch) {
    this.#world = world;
    this.#watch = watch;
    this.#random = world.forked("transactions");
    this.#checks = new PromisedChecks(world, watch, () => this.canAsk(transactionTopic));
    this.#send();
    this.#receive();
  }

  stopSending(): void {
    this.#isSending = false;
  }

  stop(): void {
    this.stopSending();
    this.#isReceiving = false;
    this.#checks.stop();
  }

  /** Whether a consumer was given all that is visible. */
  get isConsumed(): boolean {
    return [...this.#watch.log.transactions.visible.keys()].every((key) => this.given.has(key));
  }

  canAsk(topic: string): boolean {
    const { isHealed, time } = this.#world;
    return topic === transactionTopic && (isHealed || time.nowMs % hereEveryMs < hereEveryMs / 1.5);
  }

  ask({ topic, transactionId, record }: Orphan): boolean {
    if (!this.canAsk(topic)) return false;
    const transaction = this.transactions.get(Buffer.from(record.body).toString().trim());
    if (transaction === undefined) {
      this.#watch.problems.push("a check comes for a message that nobody has sent");
      return true;
    }
    transaction.askedCount += 1;
    this.#checks.expect(transaction, transactionCheckIntervalMs);
    this.#endLater(transaction, transactionId, 60);
    return true;
  }

  #serving(): ServingPlace | undefined {
    const { machines } = this.#world;
    return servingPlace(machines, this.#random, ({ transactions }) => transactions !== undefined);
  }

  #send(): void {
    if (!this.#isSending) return;
    const { clock } = this.#world;
    clock.after(1 + this.#random.next() * 2 * sendEveryMs, () => this.#send());
    const place = this.#serving();
    if (place !== undefined)
      this.#sendTo(place).catch((error: unknown) => noteFailure(this.#watch.problems, error));
  }

  async #sendTo({ machine, local }: ServingPlace): Promise<void> {
    const { metadata, store, transactions } = local;
    if (metadata.topic(transactionTopic) === undefined) {
      await metadata.ensureTopic({
        name: transactionTopic,
        readQueueNums: queueCount,
        writeQueueNums: queueCount,
        messageType: "TRANSACTION",
      });
      await metadata.ensureGroup({ name: group });
      return;
    }
    if (transactions === undefined) return;
    const number = this.transactions.size + 1;
    const meaning = this.#random.pick(meanings);
    const text = `transaction ${number} ${meaning}`;
    const transaction: Transaction = {
      text,
      meaning,
      takenBy: undefined,
      isSaid: false,
      isEnded: false,
      askedCount: 0,
    };
    this.transactions.set(text, transaction);
    const { epoch } = store;
    transactions.admit(1);
    let isStored = false;
    try {
      const [appended] = await store.send([
        {
          type: RecordType.halfMessage,
          topic: transactionTopic,
          queueId: number % queueCount,
          systemProperties: rocketmq.v2.SystemProperties.encode({
            messageId: text,
            messageType: rocketmq.v2.MessageType.TRANSACTION,
          }).finish(),
          userProperties: nothing,
          body: Buffer.from(text.padEnd(this.#world.mode.isRetaining ? 400 : 120)),
          dueMs: transactions.firstCheckAtMs(undefined),
        },
      ]);
      isStored = true;
      transaction.takenBy = { brokerId: machine.id, epoch };
      if (transaction.askedCount === 0) this.#checks.expect(transaction, transactionTimeOutMs);
      const id = transactions.idOf(transactionTopic, appended?.position ?? -1);
      if (number % silentOfMany > 0) this.#endLater(transaction, id, endsWithinMs);
    } finally {
      transactions.settled(1, isStored ? "stored" : "refused");
    }
  }

  #endLater(transaction: Transaction, transactionId: string, withinMs: number): void {
    const { meaning, text } = transaction;
    const answerAfterMs = this.#random.next() * withinMs;
    if (meaning === "abandoned") return;
    this.#world.clock.after(answerAfterMs, () => {
      const place = this.#serving();
      if (place === undefined) return;
      transaction.isSaid = true;
      this.#checks.end(transaction);
      const end = { topic: transactionTopic, messageId: text, transactionId, resolution: meaning };
      this.#end(place, transaction, end).catch((error: unknown) =>
        noteFailure(this.#watch.problems, error),
      );
    });
  }

  async #end(
    { local }: ServingPlace,
    transaction: Transaction,
    end: TransactionEnd,
  ): Promise<void> {
    if (local.transactions === undefined) return;
    await local.transactions.end(end);
    transaction.isEnded = true;
  }

  #receive(): void {
    if (!this.#isReceiving) return;
    this.#world.clock.after(5 + this.#random.next() * 2 * receiveEveryMs, () => this.#receive());
    const place = this.#serving();
    if (place !== undefined)
      this.#receiveFrom(place).catch((error: unknown) => noteFailure(this.#watch.problems, error));
  }

  async #receiveFrom({ local }: ServingPlace): Promise<void> {
    const { metadata, delivery } = local;
    const [topic, consumers] = [metadata.topic(transactionTopic), metadata.group(group)];
    if (topic === undefined || consumers === undefined) return;
    const messages = await delivery.receive({
      group: consumers,
      topic,
      queueId: -1,
      countMax: 16,
      invisibleMs: 2_000,
      autoRenew: false,
      filter: parseFilter(1, "*"),
      pollingMs: 0,
      clientId: "bookkeeper",
      signal: new AbortController().signal,
      isClientGone: () => false,
    });
    for (const { record, receiptHandle, queueId, queueOffset } of messages) {
      const text = Buffer.from(record.body).toString().trim();
      const transaction = this.transactions.get(text);
      if (transaction?.meaning !== "commit" || !transaction.isSaid) {
        this.#watch.problems.push(`${text} is seen, and nobody has committed it`);
      }
      this.given.set(`${queueId}/${queueOffset}`, text);
      delivery.ack(group, transactionTopic, receiptHandle);
    }
  }
}
