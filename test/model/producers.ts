// Producers of a modelled broker: they send, recall, and end transactions, and tell the expectation what they are answered.
import { messagingService, rocketmq } from "@cometmq/proto";
import type { SeededRandom } from "../simulation/seeded-random.ts";
import { expect } from "./broken-promise.ts";
import type { Calls, CallsOptions } from "./calls.ts";
import type { Expectation } from "./expectation.ts";
import { isRepeatable, type Kind, kinds, namesOf } from "./kinds.ts";
import { messageOf, sentOf } from "./message.ts";
import type { Draft, End, Sent } from "./sent.ts";

const { methods } = messagingService;
const { Code, TransactionResolution } = rocketmq.v2;
const producer = "producer";

/** All producers. */
export class Producers {
  readonly #calls: Calls;
  readonly #expectation: Expectation;
  readonly #random: SeededRandom;
  readonly #say: (line: string) => void;
  #sentCount = 0;
  /** Whether a producer answers the broker's questions. */
  isAnswering = true;

  constructor(options: CallsOptions) {
    this.#calls = options.calls;
    this.#expectation = options.expectation;
    this.#random = options.random;
    this.#say = options.say;
  }

  /** A producer of transactional messages is there, until the process goes. */
  connect(): void {
    const { path, request, response } = methods.Telemetry;
    const stream = this.#calls.broker.telemetry(path, producer);
    stream.write = (bytes) => {
      const command = response.decode(bytes).recoverOrphanedTransactionCommand;
      const properties = command?.message?.systemProperties;
      if (command && properties) this.#calls.guard(() => this.#asked(properties.messageId ?? ""));
      return true;
    };
    const topics = kinds.map(({ topic }) => ({ name: topic }));
    stream.say(request.encode({ settings: { clientType: 1, publishing: { topics } } }));
  }

  send(kind: Kind, drafts: readonly Draft[]): void {
    const batch = drafts.map((draft) => this.#newSent(kind, draft));
    const { path, request, response } = methods.SendMessage;
    const messages = batch.map((sent) => messageOf(kind, sent));
    this.#calls.start(batch, async () => {
      const bytes = await this.#calls.broker.call(path, request.encode({ messages }), producer);
      const { status, entries } = response.decode(bytes);
      this.#sendAnswered({ kind, batch, code: status?.code ?? 0, entries });
    });
  }

  /** Sends a message again, as a client does that has no answer; or another one with its id. */
  repeat(kind: Kind, sent: Sent, body: "same" | "other"): void {
    const { path, request, response } = methods.SendMessage;
    const again = messageOf(kind, sent);
    this.#expectation.idleLite.look(this.#calls.broker.nowMs);
    const messages = [body === "same" ? again : { ...again, body: Buffer.from("another body") }];
    this.#calls.start([], async () => {
      const bytes = await this.#calls.broker.call(path, request.encode({ messages }), producer);
      const { status, entries } = response.decode(bytes);
      const code = status?.code ?? 0;
      const wanted = body === "same" ? Code.OK : Code.ILLEGAL_MESSAGE_ID;
      expect(code === wanted, `${sent.id} with the ${body} body again is answered ${code}`);
      if (body === "other") return;
      sent.stored = "yes";
      this.#answerOffset(sent, entries[0]);
    });
  }

  recall(sent: Sent, handle: string): void {
    const { path, request, response } = methods.RecallMessage;
    const { topic } = namesOf(sent);
    const before = sent.recalled;
    if (before === "no") sent.recalled = "maybe";
    this.#calls.start([], async () => {
      const answer = await this.#calls.broker.call(
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
    this.#calls.start([], async () => {
      const answer = await this.#calls.broker.call(path, request.encode(fields), producer);
      const code = response.decode(answer).status?.code ?? 0;
      this.#endAnswered(sent, { resolution, before, code });
    });
  }

  #answerOffset(sent: Sent, entry: rocketmq.v2.ISendResultEntry | undefined): void {
    const { nowMs } = this.#calls.broker;
    this.#expectation.answerOffset(sent, { offset: entry?.offset ?? -1, nowMs });
  }

  #newSent(kind: Kind, draft: Draft): Sent {
    this.#sentCount += 1;
    this.#expectation.idleLite.look(this.#calls.broker.nowMs);
    const sent = sentOf(kind, { draft, number: this.#sentCount, nowMs: this.#calls.broker.nowMs });
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
      if (isRepeatable(kind)) this.#answerOffset(sent, entries[index]);
    }
  }

  /** How many messages wait in no queue yet, beside `batch`: surely, and at most. */
  #held(
    kind: Kind,
    batch: readonly Sent[],
  ): { readonly certain: number; readonly possible: number } {
    let [certain, possible] = [0, 0];
    const { nowMs } = this.#calls.broker;
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
    const isLate = dueMs <= this.#calls.broker.nowMs + slackMs || before !== "no";
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
    this.#expectation.ask(id, this.#calls.broker.nowMs);
    const sent = this.#expectation.of(id);
    if (!this.isAnswering || sent.transactionId === "") return;
    const answer = this.#random.pick(["commit", "rollback", "unknown", "none", "none"] as const);
    if (answer === "none") return;
    // Not from within the broker's own work.
    this.#calls.broker.time.at(this.#calls.broker.time.nowMs + 5, () => {
      if (this.#calls.broker.isServing) this.#calls.guard(() => this.end(sent, answer));
    });
  }
}
