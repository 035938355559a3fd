// The clients of a modelled broker: they say what a schedule wants, and tell the expectation what they are answered.
import { messagingService, rocketmq } from "@cometmq/proto";
import { givenUpTopic } from "../../broker/metadata/index.ts";
import type { SeededRandom } from "../simulation/seeded-random.ts";
import { type End, type Expectation, expect, type Got, type Sent } from "./expectation.ts";
import { isRepeatable, type Kind, kinds } from "./kinds.ts";
import { type LiteChange, LiteSets } from "./lite-sets.ts";
import { type Draft, messageOf, sentOf } from "./message.ts";
import type { ModelBroker } from "./model-broker.ts";
import type { Wanted } from "./wanted.ts";

const { methods } = messagingService;
const { Code, TransactionResolution } = rocketmq.v2;

/** What a receive asks for. */
export interface Wish {
  readonly kind: Kind;
  readonly client: string;
  readonly count: number;
  readonly invisibleMs: number;
  readonly wanted: Wanted;
}

const producer = "producer";
const undertaker = "undertaker";

/** What clients stand on. */
export interface ClientsOptions {
  readonly broker: ModelBroker;
  readonly expectation: Expectation;
  readonly random: SeededRandom;
  /** Hears what comes from the broker, for the trace. */
  readonly say: (line: string) => void;
}

/** All clients, and which of their calls are under way. */
export class Clients {
  /** Calls without an answer, and the messages they are about. */
  readonly #underWay = new Map<Promise<void>, readonly Sent[]>();
  readonly #broker: ModelBroker;
  readonly #expectation: Expectation;
  readonly #random: SeededRandom;
  readonly #say: (line: string) => void;
  /** What lite topics they want. */
  readonly lite: LiteSets = new LiteSets();
  #failure: Error | undefined;
  #sentCount = 0;
  /** Whether a producer answers the broker's questions. */
  isAnswering = true;

  constructor(options: ClientsOptions) {
    this.#broker = options.broker;
    this.#expectation = options.expectation;
    this.#random = options.random;
    this.#say = options.say;
  }

  /** Waits for all calls that are under way. Throws what is wrong with an answer. */
  async settle(): Promise<void> {
    await this.#broker.time.pass(0);
    while (this.#underWay.size > 0 && this.#failure === undefined) await this.#broker.time.pass(1);
    this.check();
  }

  /** Throws what was wrong with an answer. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The process is gone: nothing under way is answered, and all of it may have been done. */
  crash(): void {
    for (const about of this.#underWay.values()) for (const sent of about) sent.isVague = true;
    this.#underWay.clear();
    this.lite.forget();
  }

  /** A client says which lite topics it wants. */
  subscribe(kind: Kind, client: string, change: LiteChange): void {
    const { path, request, response } = methods.SyncLiteSubscription;
    const { action, names: liteTopicSet } = change;
    const names = { topic: { name: kind.topic }, group: { name: kind.group } };
    const answered = this.lite.say(client, change);
    this.#start([], async () => {
      const bytes = request.encode({ ...names, action, liteTopicSet });
      const code = response.decode(await this.#broker.call(path, bytes, client)).status?.code;
      expect(code === Code.OK, `a subscription of ${client} is answered ${code}`);
      answered();
    });
  }

  /** A producer of transactional messages is there, until the process goes. */
  connectProducer(): void {
    const { path, request, response } = methods.Telemetry;
    const stream = this.#broker.telemetry(path, producer);
    stream.write = (bytes) => {
      const command = response.decode(bytes).recoverOrphanedTransactionCommand;
      const properties = command?.message?.systemProperties;
      if (command && properties) this.#guard(() => this.#asked(properties.messageId ?? ""));
      return true;
    };
    const topics = kinds.map(({ topic }) => ({ name: topic }));
    stream.say(request.encode({ settings: { clientType: 1, publishing: { topics } } }));
  }

  send(kind: Kind, drafts: readonly Draft[]): void {
    const batch = drafts.map((draft) => this.#newSent(kind, draft));
    const { path, request, response } = methods.SendMessage;
    const messages = batch.map((sent) => messageOf(kind, sent));
    this.#start(batch, async () => {
      const bytes = await this.#broker.call(path, request.encode({ messages }), producer);
      const { status, entries } = response.decode(bytes);
      this.#sendAnswered({ kind, batch, code: status?.code ?? 0, entries });
    });
  }

  /** Sends a message again, as a client does that has no answer; or another one with its id. */
  repeat(kind: Kind, sent: Sent, body: "same" | "other"): void {
    const { path, request, response } = methods.SendMessage;
    const again = messageOf(kind, sent);
    const messages = [body === "same" ? again : { ...again, body: Buffer.from("another body") }];
    this.#start([], async () => {
      const bytes = await this.#broker.call(path, request.encode({ messages }), producer);
      const { status, entries } = response.decode(bytes);
      const code = status?.code ?? 0;
      const wanted = body === "same" ? Code.OK : Code.ILLEGAL_MESSAGE_ID;
      expect(code === wanted, `${sent.id} with the ${body} body again is answered ${code}`);
      if (body === "other") return;
      sent.stored = "yes";
      this.#expectation.answerOffset(sent, entries[0]?.offset ?? -1);
    });
  }

  receive(wish: Wish): void {
    const { kind, client, count, invisibleMs, wanted } = wish;
    const { path, request } = methods.ReceiveMessage;
    const bytes = request.encode({
      group: { name: kind.group },
      messageQueue: { topic: { name: kind.topic }, id: -1 },
      filterExpression: { type: wanted.type, expression: wanted.expression },
      batchSize: count,
      invisibleDuration: { seconds: invisibleMs / 1_000 },
      longPollingTimeout: { seconds: 0, nanos: 1_000_000 },
    });
    const about = [...this.#expectation.sent.values()].filter(({ kind: of }) => of === kind.name);
    // Another call that is under way may take them, or end them.
    const isAlone = kind.name === "PRIORITY" && this.#underWay.size === 0;
    const ready = isAlone ? this.#expectation.ready(this.#broker.nowMs) : [];
    const mark = this.lite.mark(client);
    this.#start(about, async () => {
      const got = await this.#got(path, bytes, client);
      if (kind.name === "LITE") this.#checkWanted(got, client, this.lite.allowed(client, mark));
      const { nowMs } = this.#broker;
      if (got.length > 0) this.#say(`${client} gets ${got.map(({ id }) => id).join(", ")}`);
      for (const sent of this.#expectation.sent.values()) {
        if (sent.kind !== kind.name || wanted.matches(sent)) continue;
        sent.isPassedOver = true;
      }
      if (this.#underWay.size === 1) this.#expectation.checkPriorities(got, ready, nowMs);
      this.#expectation.receive(got, { nowMs, invisibleMs, wanted });
    });
  }

  acknowledge(sent: Sent, handle: string): void {
    const { topic, group } = namesOf(sent);
    const { path, request, response } = methods.AckMessage;
    const entries = [{ messageId: sent.id, receiptHandle: handle }];
    sent.isEnding = true;
    this.#start([sent], async () => {
      const bytes = await this.#broker.call(path, request.encode({ topic, group, entries }), "c0");
      const code = response.decode(bytes).entries[0]?.status?.code ?? 0;
      if (this.#checkHandle(sent, handle, code)) this.#changed(sent, { done: "acknowledged" });
    });
  }

  changeInvisible(sent: Sent, handle: string, invisibleMs: number): void {
    const { topic, group } = namesOf(sent);
    const { path, request, response } = methods.ChangeInvisibleDuration;
    const invisibleDuration = { seconds: Math.floor(invisibleMs / 1_000) };
    const fields = { topic, group, receiptHandle: handle, invisibleDuration };
    this.#start([sent], async () => {
      const answer = response.decode(await this.#broker.call(path, request.encode(fields), "c0"));
      const code = answer.status?.code ?? 0;
      if (!this.#checkHandle(sent, handle, code)) return;
      sent.oldHandles.add(handle);
      const hiddenUntilMs = this.#broker.nowMs + invisibleMs;
      this.#changed(sent, { handle: answer.receiptHandle, hiddenUntilMs });
    });
  }

  deadLetter(sent: Sent, handle: string): void {
    const { topic, group } = namesOf(sent);
    const { path, request, response } = methods.ForwardMessageToDeadLetterQueue;
    const fields = { topic, group, receiptHandle: handle, messageId: sent.id };
    sent.isEnding = true;
    this.#start([sent], async () => {
      const bytes = await this.#broker.call(path, request.encode(fields), "c0");
      const code = response.decode(bytes).status?.code ?? 0;
      if (this.#checkHandle(sent, handle, code)) this.#changed(sent, { done: "dead" });
    });
  }

  recall(sent: Sent, handle: string): void {
    const { path, request, response } = methods.RecallMessage;
    const { topic } = namesOf(sent);
    const before = sent.recalled;
    if (before === "no") sent.recalled = "maybe";
    this.#start([], async () => {
      const answer = await this.#broker.call(
        path,
        request.encode({ topic, recallHandle: handle }),
        producer,
      );
      this.#recallAnswered(sent, {
        handle,
        before,
        code: response.decode(answer).status?.code ?? 0,
      });
    });
  }

  end(sent: Sent, said: End | "unknown"): void {
    const resolution = said === "unknown" ? undefined : said;
    const { path, request, response } = methods.EndTransaction;
    const { topic } = namesOf(sent);
    const { transactionId, id: messageId } = sent;
    const before = new Set(sent.saidEnds);
    if (resolution !== undefined) sent.saidEnds.add(resolution);
    const resolutions = {
      commit: TransactionResolution.COMMIT,
      rollback: TransactionResolution.ROLLBACK,
    };
    const fields = {
      topic,
      messageId,
      transactionId,
      resolution: resolution === undefined ? 0 : resolutions[resolution],
    };
    this.#start([], async () => {
      const answer = await this.#broker.call(path, request.encode(fields), producer);
      const code = response.decode(answer).status?.code ?? 0;
      this.#endAnswered(sent, { resolution, before, code });
    });
  }

  /** Takes what is in the dead-letter topics, and among transactions that were given up. */
  bury(): void {
    const { path, request } = methods.ReceiveMessage;
    const buried = [...kinds.map(({ group }) => `%DLQ%${group}`), givenUpTopic];
    for (const topic of buried) {
      const bytes = request.encode({
        group: { name: undertaker },
        messageQueue: { topic: { name: topic }, id: -1 },
        batchSize: 32,
        invisibleDuration: { seconds: 3_600 },
      });
      this.#start([], async () => {
        for (const { id, queueId, offset } of await this.#got(path, bytes, undertaker)) {
          const place = `${queueId}/${offset}`;
          if (topic === givenUpTopic) this.#expectation.receiveGivenUp(id, place);
          else this.#expectation.receiveDeadLetter(id, place, this.#broker.nowMs);
        }
      });
    }
  }

  #start(about: readonly Sent[], task: () => Promise<void>): void {
    const running: Promise<void> = task().then(
      () => void this.#underWay.delete(running),
      (error: unknown) => {
        this.#underWay.delete(running);
        this.#failure ??= asError(error);
      },
    );
    this.#underWay.set(running, about);
  }

  #guard(task: () => void): void {
    try {
      task();
    } catch (error) {
      this.#failure ??= asError(error);
    }
  }

  #checkWanted(got: readonly Got[], client: string, allowed: ReadonlySet<string>): void {
    for (const { id } of got) {
      const { liteTopic } = this.#expectation.of(id);
      expect(allowed.has(liteTopic), `${client} gets ${id}, and does not want ${liteTopic}`);
    }
  }

  async #got(path: string, request: Uint8Array, client: string): Promise<readonly Got[]> {
    const { response } = methods.ReceiveMessage;
    const frames = await this.#broker.receive(path, request, client);
    return frames.flatMap((bytes) => {
      const { message, status } = response.decode(bytes);
      const code = status?.code ?? Code.OK;
      // Topics of the broker's own are there from the first message in them on.
      const isAbsent =
        client === undertaker && (code === Code.TOPIC_NOT_FOUND || code === Code.ILLEGAL_TOPIC);
      const isGood = code === Code.OK || code === Code.MESSAGE_NOT_FOUND || isAbsent;
      expect(isGood, `a receive of ${client} is answered ${code}`);
      const properties = message?.systemProperties;
      if (!properties) return [];
      const { messageId: id, queueId, queueOffset, deliveryAttempt, receiptHandle } = properties;
      return [
        {
          id,
          queueId,
          offset: queueOffset ?? -1,
          attempt: deliveryAttempt ?? 0,
          handle: receiptHandle ?? "",
        },
      ];
    });
  }

  #newSent(kind: Kind, draft: Draft): Sent {
    this.#sentCount += 1;
    const sent = sentOf(kind, { draft, number: this.#sentCount, nowMs: this.#broker.nowMs });
    this.#expectation.sent.set(sent.id, sent);
    return sent;
  }

  #sendAnswered(answer: {
    readonly kind: Kind;
    readonly batch: readonly Sent[];
    readonly code: number;
    readonly entries: readonly rocketmq.v2.ISendResultEntry[];
  }): void {
    const { kind, batch, code, entries } = answer;
    const held = this.#held(kind, batch);
    const coming = batch.filter(({ dueMs, sentAtMs }) => dueMs > sentAtMs || kind.name !== "DELAY");
    if (code === Code.TOO_MANY_REQUESTS) {
      const isFull = held.possible + coming.length > kind.heldMax;
      expect(isFull, `a ${kind.name} message is refused, and ${held.possible} are held`);
      for (const sent of batch) sent.stored = "no";
      return;
    }
    expect(code === Code.OK, `a send of ${kind.name} is answered ${code}`);
    expect(held.certain <= kind.heldMax, `${held.certain} ${kind.name} messages are held`);
    for (const [index, sent] of batch.entries()) {
      const { transactionId, recallHandle } = entries[index] ?? {};
      sent.stored = "yes";
      sent.transactionId = kind.name === "TRANSACTION" ? (transactionId ?? "") : "";
      sent.recallHandle = recallHandle ?? "";
      if (isRepeatable(kind)) this.#expectation.answerOffset(sent, entries[index]?.offset ?? -1);
    }
  }

  /** How many messages wait in no queue yet, beside `batch`: surely, and at most. */
  #held(
    kind: Kind,
    batch: readonly Sent[],
  ): { readonly certain: number; readonly possible: number } {
    let [certain, possible] = [0, 0];
    const { nowMs } = this.#broker;
    for (const sent of this.#expectation.sent.values()) {
      if (sent.kind !== kind.name || sent.stored === "no" || batch.includes(sent)) continue;
      const isOver = sent.recalled === "yes" || sent.end !== undefined || sent.attempt > 0;
      if (!isOver) possible += 1;
      const mayBeOver =
        sent.stored === "maybe" ||
        sent.recalled !== "no" ||
        sent.saidEnds.size > 0 ||
        sent.askedAtMs.length > 0 ||
        (kind.name === "DELAY" && sent.dueMs <= nowMs);
      if (!isOver && !mayBeOver) certain += 1;
    }
    return { certain, possible };
  }

  /** Whether the broker has taken a handle; throws when it should not have, or should. */
  #checkHandle(sent: Sent, handle: string, code: number): boolean {
    const { done, isVague, id } = sent;
    sent.isEnding = false;
    const isSpent = this.#expectation.isSpent(sent, this.#broker.nowMs);
    const isNewest = handle === sent.handle;
    if (code === Code.OK) {
      const isOver = done !== "no" || isSpent || sent.isPassedOver;
      const isAllowed = isNewest || isVague || isOver;
      expect(isAllowed, `an old handle of ${id} is taken`);
      return isNewest && done === "no";
    }
    expect(code === Code.INVALID_RECEIPT_HANDLE, `a handle of ${id} is answered ${code}`);
    // Another call about it has come first, and is not answered yet.
    const isOvertaken = this.#isOvertaken(sent);
    const isRefusable =
      !isNewest || isOvertaken || sent.isPassedOver || isVague || done !== "no" || isSpent;
    expect(isRefusable, `the newest handle of ${id} is refused`);
    return false;
  }

  /** Whether another call about a message is under way. */
  #isOvertaken(sent: Sent): boolean {
    return [...this.#underWay.values()].filter((about) => about.includes(sent)).length > 1;
  }

  /** Nobody has promised which of two calls that are under way together counts, nor that one counts after the last delivery. */
  #changed(sent: Sent, fields: Partial<Sent>): void {
    const isSpent = this.#expectation.isSpent(sent, this.#broker.nowMs);
    if (isSpent || this.#isOvertaken(sent)) sent.isVague = true;
    Object.assign(sent, fields, { changedAtMs: this.#broker.nowMs });
  }

  #recallAnswered(
    sent: Sent,
    answer: { readonly handle: string; readonly before: Sent["recalled"]; readonly code: number },
  ): void {
    const { handle, before, code } = answer;
    const { id, recallHandle, dueMs, attempt } = sent;
    const { slackMs } = this.#expectation.bounds;
    if (handle !== recallHandle) {
      sent.recalled = before;
      const isRefused = code === Code.INVALID_RECEIPT_HANDLE;
      return expect(isRefused, `a forged recall handle of ${id} is answered ${code}`);
    }
    if (code === Code.OK) {
      expect(attempt === 0, `${id} was recalled after its delivery`);
      expect(before !== "yes", `${id} was recalled twice`);
      sent.recalled = "yes";
      return;
    }
    expect(code === Code.MESSAGE_NOT_FOUND, `a recall of ${id} is answered ${code}`);
    const isLate = dueMs <= this.#broker.nowMs + slackMs || before !== "no";
    expect(isLate || sent.stored !== "yes", `${id} cannot be recalled, and is not due`);
    if (sent.recalled === "maybe" && before === "no") sent.recalled = "no";
  }

  #endAnswered(
    sent: Sent,
    answer: {
      readonly resolution: End | undefined;
      readonly before: ReadonlySet<End>;
      readonly code: number;
    },
  ): void {
    const { resolution, before, code } = answer;
    const { id, end, saidEnds, askedAtMs } = sent;
    if (code === Code.OK) {
      if (resolution === undefined) return;
      const isSame = end === undefined || end === resolution;
      expect(isSame, `the ${resolution} of ${id} is taken after its ${end}`);
      sent.end = resolution;
      return;
    }
    if (code === Code.BAD_REQUEST) {
      const isOther = [...saidEnds].some((said) => said !== resolution);
      return expect(isOther, `the first ${resolution} of ${id} is refused`);
    }
    expect(code === Code.INVALID_TRANSACTION_ID, `an end of ${id} is answered ${code}`);
    const isKnown =
      saidEnds.size > 1 ||
      before.size > 0 ||
      askedAtMs.length >= this.#expectation.bounds.checkMax ||
      sent.stored !== "yes";
    expect(isKnown, `the transaction of ${id} is unknown`);
  }

  /** A producer is asked, and answers one time in two. */
  #asked(id: string): void {
    this.#say(`asked about ${id}`);
    this.#expectation.ask(id, this.#broker.nowMs);
    const sent = this.#expectation.of(id);
    if (!this.isAnswering || sent.transactionId === "") return;
    const answer = this.#random.pick(["commit", "rollback", "unknown", "none", "none"] as const);
    if (answer === "none") return;
    // Not from within the broker's own work.
    this.#broker.time.at(this.#broker.time.nowMs + 5, () => {
      if (this.#broker.isServing) this.#guard(() => this.end(sent, answer));
    });
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function namesOf({ kind }: Sent): { topic: { name: string }; group: { name: string } } {
  const found = kinds.find(({ name }) => name === kind);
  return { topic: { name: found?.topic ?? "" }, group: { name: found?.group ?? "" } };
}
