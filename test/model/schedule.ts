// A random schedule of a seed: what clients do with one broker and what happens to it, step by step, and whether the broker
// keeps its promises to them.
import { onBackgroundFailure } from "../../base/index.ts";
import { SeededRandom } from "../simulation/seeded-random.ts";
import { Clients } from "./clients.ts";
import { BrokenPromise, Expectation, type KindName, type Sent } from "./expectation.ts";
import { isRepeatable, type Kind, kindOf, kinds, priorities } from "./kinds.ts";
import { liteTopics, wholeSet } from "./lite-sets.ts";
import type { Draft } from "./message.ts";
import { ModelBroker } from "./model-broker.ts";
import { amounts, everything, filters } from "./wanted.ts";

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
/** Everything that waits has come by then, milliseconds: the longest delay, invisible time and row of checks. */
const drainMs = 90_000;
const drainEveryMs = 3_000;

type Step = (schedule: Schedule) => Promise<string> | string;

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

class Schedule {
  readonly steps: string[] = [];
  readonly expectation: Expectation;
  readonly random: SeededRandom;
  readonly broker: ModelBroker;
  readonly clients: Clients;
  crashes = 0;
  /** Whether a power cut takes what was answered OK. */
  readonly isForgiving: boolean;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const { random } = this;
    this.isForgiving = random.next() < 0.3;
    const diskMaxMs = random.pick([0, 0, 0.5, 2]);
    this.broker = new ModelBroker({
      random: SeededRandom.forked(seed, "broker"),
      flush: this.isForgiving ? "ASYNC_FLUSH" : "SYNC_FLUSH",
      diskMaxMs,
      settings: {
        // The ids of the model are not those of an official client.
        sendWindowAnyId: "true",
        timerPendingMax: String(kindOf("DELAY").heldMax),
        transactionHalfMax: String(kindOf("TRANSACTION").heldMax),
        transactionTimeOut: String(firstCheckMs),
        transactionCheckInterval: String(checkIntervalMs),
        transactionCheckMax: String(checkMax),
      },
    });
    this.expectation = new Expectation({
      retryMaxTimes,
      progressMs: 150,
      slackMs: diskMaxMs * 10,
      firstCheckMs,
      checkIntervalMs,
      checkMax,
    });
    this.clients = new Clients({
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
      await this.broker.time.run(
        metadata.updateTopic({ name: topic, ...queues, messageType: name }),
      );
      const consumeMessageOrderly = name === "FIFO" || name === "LITE";
      await this.broker.time.run(
        metadata.updateGroup({ name: group, retryMaxTimes, consumeMessageOrderly }),
      );
    }
    const lite = kindOf("LITE");
    for (const client of lite.clients) this.clients.subscribe(lite, client, wholeSet(liteTopics));
    await this.clients.settle();
    // What stands here is on the disk for good.
    await this.broker.time.pass(2_000);
  }

  async #step(): Promise<void> {
    const [, step] = pickWeighted(this.random, weighted);
    const what = await step(this);
    this.#say(what);
    // Most calls are answered before the next one is made; some are under way together.
    if (this.random.next() < 0.8) await this.clients.settle();
    else this.clients.check();
  }

  /** Waits for what waits, takes everything, and looks what is missing. */
  async #drain(): Promise<void> {
    this.#say("take all that is left");
    await this.clients.settle();
    this.clients.isAnswering = true;
    this.clients.connectProducer();
    this.clients.subscribe(kindOf("LITE"), "l0", wholeSet(liteTopics));
    for (let leftMs = drainMs; leftMs > 0; leftMs -= drainEveryMs) {
      for (const kind of kinds) {
        const invisibleMs = 10_000;
        const [client = ""] = kind.clients;
        this.clients.receive({ kind, client, count: 32, invisibleMs, wanted: everything });
      }
      this.clients.bury();
      await this.clients.settle();
      for (const sent of this.expectation.sent.values()) {
        if (sent.handle === "" || sent.done !== "no") continue;
        // One in five fails for ever, until it is a dead letter.
        if (sent.id.endsWith("4") || sent.id.endsWith("8")) {
          this.clients.changeInvisible(sent, sent.handle, 0);
        } else this.clients.acknowledge(sent, sent.handle);
      }
      await this.clients.settle();
      if (this.#left().length === 0) return;
      await this.broker.time.pass(drainEveryMs);
    }
    throw new BrokenPromise(`not come by the end: ${this.#left().join("; ")}`);
  }

  #left(): readonly string[] {
    const { timers, transactions } = this.broker.local;
    const [delayed, halves] = [timers?.pendingCount ?? 0, transactions?.halfCount ?? 0];
    return [
      ...this.expectation.missing(this.broker.nowMs),
      ...(delayed > 0 ? [`${delayed} delayed messages are held`] : []),
      ...(halves > 0 ? [`${halves} half messages are held`] : []),
    ];
  }
}

function pickSent(
  { random, expectation }: Schedule,
  isFit: (sent: Sent) => boolean,
): Sent | undefined {
  const fit = [...expectation.sent.values()].filter(isFit);
  return fit.length === 0 ? undefined : random.pick(fit);
}

/** A message with a receipt handle, mostly the newest. */
function pickHandle(schedule: Schedule): readonly [Sent, string] | undefined {
  const { random } = schedule;
  if (random.next() < 0.85) {
    const sent = pickSent(schedule, ({ handle, done }) => handle !== "" && done === "no");
    return sent && [sent, sent.handle];
  }
  const sent = pickSent(schedule, ({ oldHandles, handle }) => oldHandles.size > 0 || handle !== "");
  return sent && [sent, random.pick([...sent.oldHandles, sent.handle].filter(Boolean))];
}

function draftOf({ random, broker }: Schedule, { name }: Kind): Draft {
  const delayMs = random.pick([-1_000, 0, 200, 1_500, 6_000, 15_000]);
  return {
    tag: random.pick(["a", "b"]),
    amount: random.pick(amounts),
    messageGroup: name === "FIFO" ? random.pick(["one", "two", "three"]) : "",
    liteTopic: name === "LITE" ? random.pick(liteTopics) : "",
    priority: name === "PRIORITY" ? random.pick(priorities) : 0,
    dueMs: name === "DELAY" ? Math.floor(broker.nowMs) + delayMs : 0,
  };
}

function send(schedule: Schedule): string {
  const { random, clients } = schedule;
  const kind = random.pick(kinds);
  const count = random.next() < 0.7 ? 1 : 2 + random.below(3);
  clients.send(
    kind,
    Array.from({ length: count }, () => draftOf(schedule, kind)),
  );
  return `send ${count} ${kind.name}`;
}

/** Half the age up to which a broker knows what it was sent. */
const repeatMs = 300_000;

function repeat(schedule: Schedule): string {
  const { random, clients, broker } = schedule;
  const sent = pickSent(schedule, ({ kind, sentAtMs }) => {
    return isRepeatable(kindOf(kind)) && broker.nowMs - sentAtMs < repeatMs;
  });
  if (sent === undefined) return "nothing to send again";
  const isOther = sent.stored === "yes" && random.next() < 0.15;
  clients.repeat(kindOf(sent.kind), sent, isOther ? "other" : "same");
  return `send ${sent.id} again${isOther ? " with another body" : ""}`;
}

function receive({ random, clients }: Schedule): string {
  const kind = random.pick(kinds);
  const client = random.pick(kind.clients);
  const count = 1 + random.below(4);
  const invisibleMs = random.pick([10_000, 15_000]);
  // What a filter skips need not come any more: with many filters nothing would be expected to come.
  const filterShares: Partial<Record<KindName, number>> = { NORMAL: 0.3, FIFO: 0.1 };
  const isFiltered = random.next() < (filterShares[kind.name] ?? 0);
  const wanted = isFiltered ? random.pick(filters) : everything;
  clients.receive({ kind, client, count, invisibleMs, wanted });
  return `${client} receives up to ${count} ${kind.name} for ${invisibleMs} ms, ${wanted.expression}`;
}

function subscribe({ random, clients }: Schedule): string {
  const kind = kindOf("LITE");
  const client = random.pick(kind.clients);
  const change = clients.lite.draw(client, random);
  clients.subscribe(kind, client, change);
  return `${client} wants the lite topics ${change.set.join(", ")}`;
}

/** Clients say again what they want when a broker's process is new; some take longer than others. */
function subscribeAgain({ random, clients }: Schedule): void {
  const kind = kindOf("LITE");
  for (const client of kind.clients) {
    if (random.next() < 0.7) clients.subscribe(kind, client, clients.lite.again(client));
  }
}

function acknowledge(schedule: Schedule): string {
  const [sent, handle] = pickHandle(schedule) ?? [];
  if (sent === undefined || handle === undefined) return "nothing to acknowledge";
  schedule.clients.acknowledge(sent, handle);
  return `acknowledge ${sent.id}${handle === sent.handle ? "" : " by an old handle"}`;
}

function changeInvisible(schedule: Schedule): string {
  const [sent, handle] = pickHandle(schedule) ?? [];
  if (sent === undefined || handle === undefined) return "nothing to change";
  const invisibleMs = schedule.random.pick([0, 0, 1_000, 20_000]);
  schedule.clients.changeInvisible(sent, handle, invisibleMs);
  return `hide ${sent.id} for ${invisibleMs} ms`;
}

function deadLetter(schedule: Schedule): string {
  const [sent, handle] = pickHandle(schedule) ?? [];
  if (sent === undefined || handle === undefined) return "nothing to give up";
  schedule.clients.deadLetter(sent, handle);
  return `give ${sent.id} up`;
}

function recall(schedule: Schedule): string {
  const sent = pickSent(schedule, ({ recallHandle }) => recallHandle !== "");
  if (sent === undefined) return "nothing to recall";
  const { recallHandle } = sent;
  const isForged = schedule.random.next() < 0.1;
  const last = recallHandle.endsWith("A") ? "B" : "A";
  const at = Math.floor(recallHandle.length / 2);
  const forged = `${recallHandle.slice(0, at)}${recallHandle[at] === "A" ? "B" : last}${recallHandle.slice(at + 1)}`;
  schedule.clients.recall(sent, isForged ? forged : recallHandle);
  return `recall ${sent.id}${isForged ? " by a forged handle" : ""}`;
}

function end(schedule: Schedule): string {
  const sent = pickSent(schedule, ({ transactionId }) => transactionId !== "");
  if (sent === undefined) return "no transaction to end";
  const resolution = schedule.random.pick(["commit", "commit", "rollback", "unknown"] as const);
  schedule.clients.end(sent, resolution);
  return `end ${sent.id}: ${resolution}`;
}

async function pass({ random, broker }: Schedule): Promise<string> {
  const ms = random.pick([1, 30, 60, 500, 2_000, 10_000, 15_000]);
  await broker.time.pass(ms);
  return `wait ${ms} ms`;
}

async function reset({ random, broker, clients, expectation }: Schedule): Promise<string> {
  await clients.settle();
  // Lite topics have no offsets that operators set.
  const kind = random.pick(kinds.filter(({ name }) => name !== "LITE"));
  const queueId = random.pick(kind.queueIds);
  const place = { group: kind.group, topic: kind.topic, queueId };
  const { offsets } = broker.local.delivery;
  const { minOffset, endOffset } = offsets.bounds(place);
  const offset = random.pick([
    minOffset,
    endOffset,
    minOffset + random.below(endOffset - minOffset + 1),
  ]);
  // Dead letters of before are told apart from those of after.
  clients.bury();
  await clients.settle();
  await broker.time.run(offsets.reset([{ place, offset }]));
  expectation.reset(kind.name, queueId, offset);
  return `set ${kind.name} ${queueId} to ${offset}`;
}

async function connectProducer({ clients }: Schedule): Promise<string> {
  clients.connectProducer();
  return "a producer comes";
}

async function restart(schedule: Schedule): Promise<string> {
  const { broker, clients } = schedule;
  await clients.settle();
  await broker.close();
  clients.lite.forget();
  await broker.start();
  subscribeAgain(schedule);
  return "stop and start";
}

async function crash(schedule: Schedule): Promise<string> {
  const { broker, clients, expectation, random, isForgiving } = schedule;
  schedule.crashes += 1;
  const isPowerCut = random.next() < 0.5;
  clients.crash();
  expectation.crash(broker.nowMs);
  if (isPowerCut) broker.cutPower();
  else broker.kill();
  if (isPowerCut && isForgiving) expectation.forgive();
  await broker.start();
  subscribeAgain(schedule);
  return isPowerCut ? "the power goes" : "killed";
}

const weighted: readonly (readonly [number, Step])[] = [
  [10, send],
  [2, repeat],
  [10, receive],
  [2, subscribe],
  [9, acknowledge],
  [4, changeInvisible],
  [1, deadLetter],
  [2, recall],
  [4, end],
  [7, pass],
  [1, reset],
  [1, connectProducer],
  [1, restart],
  [1.5, crash],
];

function pickWeighted<T>(
  random: SeededRandom,
  items: readonly (readonly [number, T])[],
): readonly [number, T] {
  const total = items.reduce((sum, [weight]) => sum + weight, 0);
  let left = random.next() * total;
  for (const item of items) {
    left -= item[0];
    if (left < 0) return item;
  }
  throw new Error("no weight is left");
}
