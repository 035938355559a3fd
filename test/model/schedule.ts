// A random schedule of a seed: what clients do with one broker and what happens to it, step by step, and whether the broker
// keeps its promises to them.
import { limits, onBackgroundFailure } from "../../base/index.ts";
import { SeededRandom } from "../simulation/seeded-random.ts";
import { BrokenPromise } from "./broken-promise.ts";
import { Clients } from "./clients.ts";
import { Expectation } from "./expectation.ts";
import { type HoldingBounds, Holdings } from "./holdings.ts";
import { type Kind, kindOf, kinds } from "./kinds.ts";
import { liteTopics, wholeSet } from "./lite-sets.ts";
import { ModelBroker } from "./model-broker.ts";
import { pullGroup } from "./pullers.ts";
import { pickStep, type Scene } from "./steps.ts";
import { everything } from "./wanted.ts";

/** What came of a seed. */
export interface Outcome {
  readonly seed: number;
  /** What was wrong; undefined when nothing was. */
  readonly problem: string | undefined;
  readonly steps: readonly string[];
  readonly sent: number;
  readonly received: number;
  readonly deadLetters: number;
  readonly crashes: number;
}

const stepCount = { min: 15, max: 60 } as const;
const retryMaxTimes = 2;
const firstCheckMs = 2_000;
const checkIntervalMs = 1_000;
const checkMax = 3;
/** Everything that waits has come by then, milliseconds: the longest delay, invisible time, grace and row of checks. */
const drainMs = 180_000;
const drainEveryMs = 3_000;
/** All clients are forgotten by then, and what is looked at from time to time was looked at. */
const idleMs = 150_000;

/** Runs a seed to its end. */
export async function runSchedule(seed: number): Promise<Outcome> {
  const schedule = new Schedule(seed);
  const problem = await schedule.run();
  const { expectation, steps, crashes } = schedule;
  return {
    seed,
    problem,
    steps,
    sent: expectation.sent.size,
    received: expectation.receivedCount,
    deadLetters: expectation.deadLetters.size,
    crashes,
  };
}

class Schedule implements Scene {
  readonly steps: string[] = [];
  readonly expectation: Expectation;
  readonly random: SeededRandom;
  readonly broker: ModelBroker;
  readonly clients: Clients;
  readonly holdings: Holdings;
  readonly isCrowded: boolean;
  readonly favourite: Kind;
  /** After how long lite topics without a new message go. */
  readonly liteExpirationMinutes: number | undefined;
  crashes = 0;
  /** Whether a power cut takes what was answered OK. */
  readonly isForgiving: boolean;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const { random } = this;
    this.isForgiving = random.next() < 0.3;
    const diskMaxMs = random.pick([0, 0, 0.5, 2]);
    const renewMaxMs = random.pick([60_000, 60_000, 150_000]);
    // A few schedules have so many messages that there is no room for all of them.
    this.isCrowded = random.next() < 0.04;
    this.liteExpirationMinutes = random.next() < 0.3 ? 1 : undefined;
    this.favourite = random.pick(kinds);
    const bounds: HoldingBounds = {
      perQueue: this.isCrowded ? 20_000 : random.pick([2, 3, 20_000]),
      total: this.isCrowded ? 105 : limits.pendingTotalMax,
    };
    this.broker = new ModelBroker({
      random: SeededRandom.forked(seed, "broker"),
      flush: this.isForgiving ? "ASYNC_FLUSH" : "SYNC_FLUSH",
      diskMaxMs,
      pendingTotalMax: bounds.total,
      settings: {
        // The ids of the model are not those of an official client.
        sendWindowAnyId: "true",
        timerPendingMax: String(kindOf("DELAY").heldMax),
        transactionHalfMax: String(kindOf("TRANSACTION").heldMax),
        transactionTimeOut: String(firstCheckMs),
        transactionCheckInterval: String(checkIntervalMs),
        transactionCheckMax: String(checkMax),
        popInflightMessageThreshold: String(bounds.perQueue),
        renewMaxTimeMillis: String(renewMaxMs),
      },
    });
    this.expectation = new Expectation({
      retryMaxTimes,
      progressMs: 150,
      slackMs: diskMaxMs * 10,
      firstCheckMs,
      checkIntervalMs,
      checkMax,
      renewMaxMs,
      liteExpirationMs: this.liteExpirationMinutes && this.liteExpirationMinutes * 60_000,
    });
    this.holdings = new Holdings(this.broker, this.expectation, bounds);
    this.clients = new Clients({
      holdings: this.holdings,
      broker: this.broker,
      expectation: this.expectation,
      random,
      say: (line) => this.#say(`  ${line}`),
    });
  }

  /** What was wrong; undefined when nothing was. */
  async run(): Promise<string | undefined> {
    const failures: Error[] = [];
    onBackgroundFailure((error) => {
      failures.push(error instanceof Error ? error : new Error(String(error)));
    });
    try {
      await this.#begin();
      const count = stepCount.min + this.random.below(stepCount.max - stepCount.min);
      for (let left = count; left > 0 && failures.length === 0; left -= 1) await this.#step();
      await this.#drain();
      await this.#leave();
      await this.broker.close();
      return failures[0]?.stack;
    } catch (error) {
      if (error instanceof BrokenPromise) return error.message;
      return error instanceof Error ? (error.stack ?? error.message) : String(error);
    }
  }

  #say(line: string): void {
    this.steps.push(`${this.broker.time.nowMs.toFixed(2)} ${line}`);
  }

  async #begin(): Promise<void> {
    await this.broker.start();
    const { metadata } = this.broker.local;
    for (const { topic, group, queueIds, name } of kinds) {
      const count = name === "PRIORITY" ? 2 : queueIds.length;
      const queues = { readQueueNums: count, writeQueueNums: count };
      const isIdle = name === "LITE" && this.liteExpirationMinutes !== undefined;
      const attributes = isIdle ? { "lite.topic.expiration": `${this.liteExpirationMinutes}` } : {};
      await this.broker.time.run(
        metadata.updateTopic({ name: topic, ...queues, messageType: name, attributes }),
      );
      const consumeMessageOrderly = name === "FIFO" || name === "LITE";
      await this.broker.time.run(
        metadata.updateGroup({ name: group, retryMaxTimes, consumeMessageOrderly }),
      );
    }
    await this.broker.time.run(metadata.updateGroup({ name: pullGroup }));
    const lite = kindOf("LITE");
    for (const client of lite.clients)
      this.clients.consumers.subscribe(lite, client, wholeSet(liteTopics));
    await this.clients.settle();
    // What stands here is on the disk for good.
    await this.broker.time.pass(2_000);
  }

  async #step(): Promise<void> {
    const step = pickStep(this);
    const what = await step(this);
    this.#say(what);
    // Most calls are answered before the next one is made; some are under way together.
    if (this.random.next() >= 0.8) return this.clients.check();
    await this.clients.settle();
    this.holdings.check();
  }

  /** Waits for what waits, takes everything, and looks what is missing. */
  async #drain(): Promise<void> {
    this.#say("take all that is left");
    await this.clients.settle();
    this.clients.producers.isAnswering = true;
    this.clients.producers.connect();
    this.clients.consumers.subscribe(kindOf("LITE"), "l0", wholeSet(liteTopics));
    for (let leftMs = drainMs; leftMs > 0; leftMs -= drainEveryMs) {
      for (const kind of kinds) {
        const invisibleMs = 10_000;
        const [client = ""] = kind.clients;
        this.clients.consumers.receive({
          kind,
          client,
          count: 32,
          invisibleMs,
          wanted: everything,
        });
      }
      this.clients.consumers.bury();
      await this.clients.settle();
      for (const sent of this.expectation.sent.values()) {
        if (sent.handle === "" || sent.done !== "no") continue;
        // One in five fails for ever, until it is a dead letter.
        if (sent.id.endsWith("4") || sent.id.endsWith("8")) {
          this.clients.consumers.changeInvisible(sent, sent.handle, 0);
        } else this.clients.consumers.acknowledge(sent, sent.handle);
      }
      await this.clients.settle();
      this.holdings.check();
      if (this.#left().length === 0) return;
      await this.broker.time.pass(drainEveryMs);
    }
    throw new BrokenPromise(`not come by the end: ${this.#left().join("; ")}`);
  }

  /** Everybody goes, and nothing may stay of them. */
  async #leave(): Promise<void> {
    this.#say("all clients go");
    await this.clients.pullers.pullAll();
    for (const kind of kinds) {
      for (const client of kind.clients) this.clients.consumers.leave(kind, client);
      await this.clients.settle();
    }
    await this.broker.time.pass(idleMs);
    await this.holdings.checkNothingLeft();
  }

  #left(): readonly string[] {
    const { timers, transactions } = this.broker.local;
    const [delayed, halves] = [timers?.pendingCount ?? 0, transactions?.halfCount ?? 0];
    return [
      ...this.expectation.missing(this.broker.nowMs),
      ...this.holdings.left(),
      ...(delayed > 0 ? [`${delayed} delayed messages are held`] : []),
      ...(halves > 0 ? [`${halves} half messages are held`] : []),
    ];
  }
}
