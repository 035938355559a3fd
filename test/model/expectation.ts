// What clients may expect of a broker, in plain tables: which messages there are, who may get which of them when, and how
// often. Every answer of the broker is compared with it.
import { expect } from "./broken-promise.ts";
import { IdleLiteTopics, type LiteStart, liteOffset } from "./lite-places.ts";
import { Renewals } from "./renewals.ts";
import type { KindName, Sent } from "./sent.ts";
import type { Wanted } from "./wanted.ts";

/** As a consumer got it. */
export interface Got {
  readonly id: string;
  readonly queueId: number;
  readonly offset: number;
  readonly attempt: number;
  readonly handle: string;
}

/** Bounds that the expectation knows. */
export interface Bounds {
  readonly retryMaxTimes: number;
  /** Changes of progress that are younger may be lost with a process, milliseconds. */
  readonly progressMs: number;
  /** How exactly the time of an answer is known, milliseconds. */
  readonly slackMs: number;
  readonly firstCheckMs: number;
  readonly checkIntervalMs: number;
  readonly checkMax: number;
  /** How long a delivery is renewed for a client that is alive. */
  readonly renewMaxMs: number;
  /** After how long a lite topic without a new message goes; undefined: never. */
  readonly liteExpirationMs: number | undefined;
}

/** All that was sent, and what has become of it. */
export class Expectation {
  readonly sent: Map<string, Sent> = new Map();
  readonly deadLetters: Set<string> = new Set();
  readonly givenUp: Set<string> = new Set();
  readonly bounds: Bounds;
  readonly renewals: Renewals;
  readonly idleLite: IdleLiteTopics;
  readonly #copies = new Set<string>();
  /** Dead letters of before a reset that nobody has read yet. */
  readonly #onTheWay = new Set<string>();
  /** Dead letters whose lite topic was begun anew, nobody knows whether before them or behind them. */
  readonly #mayComeAnew = new Set<Sent>();
  receivedCount = 0;

  constructor(bounds: Bounds) {
    this.bounds = bounds;
    this.renewals = new Renewals(this.sent, bounds.renewMaxMs);
    this.idleLite = new IdleLiteTopics(this.sent, bounds.liteExpirationMs);
  }

  of(id: string): Sent {
    const sent = this.sent.get(id);
    expect(sent !== undefined, `${id} came, and nobody has sent it`);
    return sent;
  }

  /** Deliveries of a message before it becomes a dead letter. */
  get attemptMax(): number {
    return this.bounds.retryMaxTimes + 1;
  }

  /** Whether the last delivery of a message is over: it becomes a dead letter, or has. */
  isSpent({ attempt, hiddenUntilMs, done }: Sent, nowMs: number): boolean {
    return done === "no" && attempt >= this.attemptMax && hiddenUntilMs <= nowMs;
  }

  /** A consumer that wants `wanted` got an answer. */
  receive(batch: readonly Got[], answer: Answer): void {
    this.idleLite.look(answer.nowMs);
    for (const [index, got] of batch.entries()) {
      const sent = this.of(got.id);
      this.#checkVisible(sent, answer);
      this.#checkPlace(sent, got);
      if (!sent.isVague) this.#checkDelivery(sent, got, answer.nowMs);
      this.idleLite.check(sent, answer.nowMs);
      if (isOrdered(sent)) this.#checkOrder(sent, batch.slice(0, index), answer.nowMs);
      this.#note(sent, got, answer);
    }
  }

  /** A send was answered: a message that is sent again is stored once, and stays where it is. */
  answerOffset(sent: Sent, { offset, nowMs }: { offset: number; nowMs: number }): void {
    this.#checkAnswered(sent, offset);
    const isSame = sent.offset < 0 || sent.offset === offset;
    expect(isSame, `${sent.id} came from ${sent.offset}, and is answered to be at ${offset}`);
    sent.answeredOffset = offset;
    sent.storedByMs = Math.min(sent.storedByMs, nowMs);
  }

  /** Somebody has read a message where it is. */
  pulled(
    id: string,
    answer: Pick<Answer, "nowMs" | "wanted"> & Pick<Got, "queueId" | "offset">,
  ): void {
    const sent = this.of(id);
    this.#checkVisible(sent, answer);
    this.#checkPlace(sent, answer);
  }

  /** Messages of a kind that whoever asks now can have, as far as that is sure. */
  ready(kind: KindName, nowMs: number): readonly Sent[] {
    return [...this.sent.values()].filter((sent) => {
      if (sent.kind !== kind || !this.#isShown(sent, nowMs)) return false;
      if (kind === "PRIORITY" || kind === "NORMAL") return true;
      // Others wait for something else before they come for the first time.
      if (kind === "LITE" || sent.attempt === 0) return false;
      return kind !== "FIFO" || this.#isFirstOfLine(sent, nowMs);
    });
  }

  /** A client that wants everything got nothing, and nobody else has asked: of what was ready nothing is still. */
  checkEmpty(before: readonly Sent[], nowMs: number): void {
    // A file may take longer to read than a receive waits.
    if (this.bounds.slackMs > 0) return;
    const left = before.find((sent) => this.ready(sent.kind, nowMs).includes(sent));
    expect(
      left === undefined,
      `${left?.id} is not given, and has been there since ${left?.shownByMs}`,
    );
  }

  #isShown(sent: Sent, nowMs: number): boolean {
    if (sent.stored !== "yes" || sent.done !== "no" || sent.isEnding) return false;
    if (sent.isVague || sent.isPassedOver || sent.attempt >= this.attemptMax) return false;
    return sent.shownByMs + this.bounds.slackMs <= nowMs;
  }

  /** Whether nothing that is out keeps a message of a message group from coming again. */
  #isFirstOfLine(sent: Sent, nowMs: number): boolean {
    return [...this.sent.values()].every((other) => {
      if (lineOf(other) !== lineOf(sent) || other.stored === "no") return true;
      if (other.isVague || other.isPassedOver || other.isEnding) return false;
      return other.done !== "no" || other.attempt === 0 || this.#isShown(other, nowMs);
    });
  }

  /** Of those that were ready, and are still, no one was left whose priority is higher than one that was given. */
  checkPriorities(batch: readonly Got[], before: readonly Sent[], nowMs: number): void {
    const ready = this.ready("PRIORITY", nowMs).filter((sent) => before.includes(sent));
    const given = batch.map(({ id }) => this.of(id));
    for (const left of ready) {
      if (given.includes(left)) continue;
      const lower = given.find(({ priority }) => priority < left.priority);
      expect(
        lower === undefined,
        `${lower?.id} of priority ${lower?.priority} came before ${left.id} of ${left.priority}`,
      );
    }
  }

  /** A message was given to whoever reads the dead letters. */
  receiveDeadLetter(id: string, place: string, nowMs: number): void {
    const sent = this.of(id);
    if (this.#isSeen(`${id} ${place}`) || this.#onTheWay.delete(id)) return;
    expect(sent.isVague || !this.deadLetters.has(id), `${id} is a dead letter twice`);
    this.deadLetters.add(id);
    if (sent.isVague) return;
    const isDue = sent.done === "dead" || this.isSpent(sent, nowMs);
    expect(isDue, `${id} is a dead letter after ${sent.attempt} deliveries, ${sent.done}`);
  }

  /** A message was found in the topic of transactions that were given up. */
  receiveGivenUp(id: string, place: string): void {
    if (this.#isSeen(`${id} ${place}`)) return;
    const { askedAtMs, end, saidEnds } = this.of(id);
    expect(!this.givenUp.has(id), `${id} is given up twice`);
    this.givenUp.add(id);
    const { checkMax } = this.bounds;
    expect(askedAtMs.length >= checkMax, `${id} is given up after ${askedAtMs.length} checks`);
    expect(end === undefined, `${id} is given up, and ${[...saidEnds].join()} was answered OK`);
  }

  /** A producer is asked how a transaction ended. */
  ask(id: string, nowMs: number): void {
    const sent = this.of(id);
    const { firstCheckMs, checkIntervalMs, slackMs } = this.bounds;
    const lastMs = sent.askedAtMs.at(-1);
    const fromMs = lastMs === undefined ? sent.sentAtMs + firstCheckMs : lastMs + checkIntervalMs;
    // A check that was not noted before a crash is made again.
    const isEarly = nowMs + slackMs < fromMs && !sent.isVague;
    expect(!isEarly, `${id} is asked about ${fromMs - nowMs} ms early`);
    const isOver = sent.end !== undefined && sent.stored === "yes";
    expect(!isOver, `${id} is asked about, and its ${sent.end} was answered OK`);
    sent.askedAtMs.push(nowMs);
  }

  /** The process is gone: what it had not written yet is not known any more. */
  crash(nowMs: number): void {
    this.renewals.ended(nowMs);
    for (const sent of this.sent.values()) {
      if (nowMs - sent.changedAtMs <= this.bounds.progressMs) sent.isVague = true;
    }
  }

  /** Power is gone, and what was answered OK may be as well. */
  forgive(): void {
    for (const sent of this.sent.values()) {
      sent.isVague = true;
      if (sent.stored === "yes") sent.stored = "maybe";
      if (sent.recalled === "yes") sent.recalled = "maybe";
      sent.end = undefined;
      sent.offset = -1;
      sent.answeredOffset = -1;
      sent.storedByMs = Number.POSITIVE_INFINITY;
    }
  }

  /** The offset of a group on a queue was set: it gets what lies behind it anew, and nothing before it. */
  reset(kind: KindName, queueId: number, offset: number): void {
    for (const sent of this.sent.values()) {
      if (sent.kind !== kind) continue;
      // Where a message is, its first delivery says.
      if (sent.offset < 0 && offset > 0) sent.isPassedOver = true;
      if (sent.offset < 0 || sent.queueId !== queueId) continue;
      this.#setPlace(sent, sent.offset < offset);
    }
  }

  /** A client has said where its group goes on in lite topics. */
  startLite(names: readonly string[], { isBefore }: Pick<LiteStart, "isBefore">): void {
    for (const name of names) {
      const line = [...this.sent.values()]
        .filter(({ liteTopic, stored }) => liteTopic === name && stored !== "no")
        .toSorted((a, b) => liteOffset(a) - liteOffset(b));
      // What may be there, or gone, makes the places of others uncertain.
      const isCertain = line.every((sent) => {
        const isThere = sent.stored === "yes" && liteOffset(sent) >= 0;
        return isThere && (this.idleLite.expirationMs === undefined || !sent.isPassedOver);
      });
      for (const sent of line) {
        const place = isCertain ? isBefore(sent, line) : "unknown";
        if (place === "unknown") this.#losePlace(sent);
        else this.#setPlace(sent, place);
      }
    }
  }

  /** A group goes on before or behind a message, which nobody has any more. */
  #setPlace(sent: Sent, isSkipped: boolean): void {
    this.#forgetHandle(sent);
    this.#mayComeAnew.delete(sent);
    if (isSkipped) {
      if (sent.done === "no") sent.done = "skipped";
      return;
    }
    this.#beginAnew(sent);
    Object.assign(sent, { done: "no", attempt: 0, hiddenUntilMs: 0, shownByMs: 0, renewedFor: "" });
  }

  /** A group goes on before or behind a message, nobody knows which. */
  #losePlace(sent: Sent): void {
    sent.isVague = true;
    if (sent.done === "dead" || this.deadLetters.has(sent.id)) this.#mayComeAnew.add(sent);
  }

  /** It may become a dead letter a second time. */
  #beginAnew(sent: Sent): void {
    // The copy of before may be on its way still.
    if (sent.done === "dead" && !this.deadLetters.has(sent.id)) this.#onTheWay.add(sent.id);
    this.deadLetters.delete(sent.id);
  }

  /** What has to have come by the end, and has not. */
  missing(nowMs: number): readonly string[] {
    return [...this.sent.values()]
      .filter((sent) => this.#isMissing(sent, nowMs))
      .map(({ id, kind, attempt, done }) => `${id} (${kind}, ${attempt} deliveries, ${done})`);
  }

  /** Whether a copy was there before: whoever reads it may have to read it again after a crash. */
  #isSeen(copy: string): boolean {
    const isSeen = this.#copies.has(copy);
    this.#copies.add(copy);
    return isSeen;
  }

  #isMissing(sent: Sent, nowMs: number): boolean {
    if (sent.stored !== "yes" || sent.recalled !== "no" || sent.isVague) return false;
    // What a filter has passed over is done with, whatever a client says of it later.
    if (sent.isPassedOver) return false;
    if (this.isSpent(sent, nowMs) || sent.done === "dead") return !this.deadLetters.has(sent.id);
    if (sent.done !== "no") return false;
    if (sent.kind !== "TRANSACTION") return true;
    if (sent.end === "commit") return true;
    if (sent.end === "rollback") return false;
    return sent.saidEnds.size === 0 && !this.givenUp.has(sent.id);
  }

  #checkVisible(sent: Sent, { nowMs, wanted }: Pick<Answer, "nowMs" | "wanted">): void {
    const { id, dueMs, recalled, stored, kind, saidEnds, end } = sent;
    expect(stored !== "no", `${id} came, and its send was refused`);
    expect(recalled !== "yes", `${id} came, and was recalled`);
    expect(dueMs <= nowMs, `${id} came ${dueMs - nowMs} ms before its time`);
    expect(
      wanted.matches(sent),
      `${id}, tag ${sent.tag}, amount ${sent.amount}, came to who wants ${wanted.expression}`,
    );
    if (kind !== "TRANSACTION") return;
    expect(saidEnds.has("commit"), `${id} came, and nobody has committed it`);
    expect(end !== "rollback", `${id} came, and was rolled back`);
    expect(!this.givenUp.has(id), `${id} came, and was given up`);
  }

  #checkPlace(sent: Sent, got: Pick<Got, "queueId" | "offset">): void {
    this.#checkAnswered(sent, got.offset);
    if (sent.offset < 0) Object.assign(sent, { queueId: got.queueId, offset: got.offset });
    const isSame = sent.queueId === got.queueId && sent.offset === got.offset;
    expect(
      isSame,
      `${sent.id} came from ${got.queueId}/${got.offset}, and is at ${sent.queueId}/${sent.offset}`,
    );
  }

  #checkAnswered({ id, answeredOffset }: Sent, offset: number): void {
    const isSame = answeredOffset < 0 || answeredOffset === offset;
    expect(isSame, `${id} is at offset ${offset}, and was answered to be at ${answeredOffset}`);
  }

  #checkDelivery(sent: Sent, got: Got, nowMs: number): void {
    const { id, done, hiddenUntilMs, attempt } = sent;
    expect(done === "no", `${id} came again, and is ${done}`);
    const earlyMs = hiddenUntilMs - nowMs - this.bounds.slackMs;
    expect(earlyMs <= 0, `${id} came again ${earlyMs} ms early`);
    expect(
      got.attempt === attempt + 1,
      `${id} came as attempt ${got.attempt} after ${attempt} deliveries`,
    );
    expect(got.attempt <= this.attemptMax, `${id} came ${got.attempt} times`);
  }

  /** Earlier messages of its message group, or lite topic, are done with, or stand before it in the same answer. */
  #checkOrder(sent: Sent, before: readonly Got[], nowMs: number): void {
    for (const other of this.sent.values()) {
      if (lineOf(other) !== lineOf(sent)) continue;
      if (other.queueId !== sent.queueId || other.offset < 0 || other.offset >= sent.offset)
        continue;
      if (other.done !== "no" || other.isEnding || other.isVague) continue;
      // What a filter skips does not hold back its message group.
      if (other.isPassedOver) continue;
      if (this.isSpent(other, nowMs)) continue;
      const isBefore = before.some(({ id }) => id === other.id);
      expect(isBefore, `${sent.id} came before ${other.id}, which it comes behind, was done with`);
    }
  }

  #note(sent: Sent, got: Got, { nowMs, invisibleMs, renewedFor }: Answer): void {
    this.receivedCount += 1;
    if (this.#mayComeAnew.delete(sent)) this.#beginAnew(sent);
    this.#forgetHandle(sent);
    Object.assign(sent, {
      stored: "yes",
      attempt: got.attempt,
      handle: got.handle,
      hiddenUntilMs: nowMs + invisibleMs,
      shownByMs: nowMs + invisibleMs,
      renewedFor: "",
      changedAtMs: nowMs,
      done: "no",
      isVague: false,
    });
    if (sent.recalled === "maybe") sent.recalled = "no";
    if (renewedFor !== "") this.renewals.keep(sent, renewedFor, nowMs);
  }

  #forgetHandle(sent: Sent): void {
    if (sent.handle !== "") sent.oldHandles.add(sent.handle);
    sent.handle = "";
  }
}

function isOrdered({ kind }: Sent): boolean {
  return kind === "FIFO" || kind === "LITE";
}

/** What it is consumed in the order of. */
function lineOf({ kind, messageGroup, liteTopic }: Sent): string {
  return `${kind} ${messageGroup} ${liteTopic}`;
}

/** An answer to a receive. */
export interface Answer {
  readonly nowMs: number;
  readonly invisibleMs: number;
  /** Whom the broker keeps it for, as long as that client is alive; empty: nobody. */
  readonly renewedFor: string;
  readonly wanted: Wanted;
}
