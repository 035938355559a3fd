// Transactions on a log and a state in memory, with what a producer and a consumer see of them.
import { rocketmq } from "@cometmq/proto";
import { HeldScene, heldMessage } from "../../held/testkit/held-scene.ts";
import { type RecordDraft, RecordType, type StoreOptions } from "../../store/index.ts";
import type { Orphan } from "../ports.ts";
import { Transactions } from "../transactions.ts";

/** What a producer has of a half message. */
export interface Half {
  readonly text: string;
  readonly messageId: string;
  readonly transactionId: string;
}

/** A question that came to a producer. */
export interface Question {
  readonly text: string;
  readonly transactionId: string;
  readonly atMs: number;
}

interface SceneOptions {
  readonly windowMax?: number;
  readonly outcomesMax?: number;
  readonly store?: Partial<StoreOptions>;
}

/** One broker with transactions. */
export class TransactionScene {
  readonly scene: HeldScene;
  readonly #options: SceneOptions;
  halfMax = 1_000_000;
  intervalMs = 30_000;
  checkMax = 15;
  /** Whether a producer is here. */
  hasProducer = true;
  readonly asked: Question[] = [];
  transactions: Transactions;

  private constructor(scene: HeldScene, options: SceneOptions) {
    this.scene = scene;
    this.#options = options;
    this.transactions = this.#open();
  }

  static async open(options: SceneOptions = {}): Promise<TransactionScene> {
    return new TransactionScene(await HeldScene.open(options.store), options);
  }

  get nowMs(): number {
    return this.scene.clock.now();
  }

  /** Sends a half message. `ownMs`: its own time of the first check. */
  async send(text: string, given: Partial<RecordDraft> = {}, ownMs?: number): Promise<Half> {
    const messageId = `id of ${text}`;
    const properties = rocketmq.v2.SystemProperties.encode({ messageId, messageType: 4 });
    const draft = heldMessage(text, {
      type: RecordType.halfMessage,
      dueMs: this.transactions.firstCheckAtMs(ownMs),
      systemProperties: properties.finish(),
      ...given,
    });
    this.transactions.admit(1);
    const [appended] = await this.scene.store.send([draft]);
    this.transactions.settled(1, "stored");
    const transactionId = this.transactions.idOf("t", appended?.position ?? -1);
    return { text, messageId, transactionId };
  }

  /** Says how a transaction ended. */
  end(
    { messageId, transactionId }: Pick<Half, "messageId" | "transactionId">,
    resolution: "commit" | "rollback" | undefined,
    topic = "t",
  ): Promise<void> {
    return this.transactions.end({ topic, messageId, transactionId, resolution });
  }

  /** What consumers can see. */
  visible(topic = "t"): Promise<string[]> {
    return this.scene.queue(topic);
  }

  /** Texts of the questions, in order. */
  get askedTexts(): readonly string[] {
    return this.asked.map(({ text }) => text);
  }

  /** Stops and starts again; `loses`: without the state's database. */
  async restart(loses = false): Promise<void> {
    await this.transactions.close();
    await this.scene.restart(loses);
    this.transactions = this.#open();
  }

  /** The process is gone: gives the next one, whose transactions run. */
  async killed(loses = false): Promise<TransactionScene> {
    const next = await (await this.scene.killed(loses)).started();
    return new TransactionScene(next, this.#options);
  }

  async stop(): Promise<void> {
    await this.transactions.close();
    await this.scene.stop();
  }

  #open(): Transactions {
    const { held, state, clock, logger } = this.scene;
    const { windowMax, outcomesMax } = this.#options;
    return Transactions.open({
      held,
      metadata: state.metadata,
      producers: {
        canAsk: () => this.hasProducer,
        ask: (orphan) => this.#ask(orphan),
      },
      clock,
      logger,
      brokerName: "broker-a",
      times: {
        firstMs: () => 6_000,
        intervalMs: () => this.intervalMs,
        countMax: () => this.checkMax,
      },
      halfMax: () => this.halfMax,
      queueOfGroup: (hash, queueCount) => hash % queueCount,
      ...(windowMax === undefined ? {} : { windowMax }),
      ...(outcomesMax === undefined ? {} : { outcomesMax }),
    });
  }

  #ask({ transactionId, record }: Orphan): boolean {
    if (!this.hasProducer) return false;
    const text = Buffer.from(record.body).toString();
    this.asked.push({ text, transactionId, atMs: this.nowMs });
    return true;
  }
}
