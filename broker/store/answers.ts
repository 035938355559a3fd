// Who waits for which part of the log: appends of the broker itself until it may be seen, sends of clients until
// replication allows an answer. Decides nothing: the quorum and the disk do.
import { type Clock, limits, MqError } from "../../base/index.ts";
import { AckLine, type Appended } from "./ack-line.ts";
import { loneQuorum, type Quorum } from "./quorum.ts";
import { RepeatLine } from "./repeat-line.ts";

/** Time between two looks for those who wait too long, milliseconds. */
export const timeoutCheckMs = 250;

/** The waiting appends of a store. */
export class Answers {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #seen = new AckLine();
  readonly #sent = new AckLine();
  readonly #again = new RepeatLine();
  #deadlineMs = 0;
  #quorum: Quorum = loneQuorum;
  #confirmed: number;

  /** `end`: all before it may be seen already. `timeoutMs`: longest wait for the disk. */
  constructor(clock: Clock, timeoutMs: number, end: number) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#confirmed = end;
  }

  /** Appends that wait. */
  get count(): number {
    return this.#seen.count + this.#sent.count + this.#again.count;
  }

  /** Everything before it may be seen. Never goes back. */
  get confirmed(): number {
    return this.#confirmed;
  }

  /** Whose say counts beside the disk's. */
  get quorum(): Quorum {
    return this.#quorum;
  }

  set quorum(quorum: Quorum) {
    this.#quorum = quorum;
  }

  /** Starts again at `end`, beyond which there is nothing: the log was empty, or has been taken over up to there. */
  startAt(end: number): void {
    this.#confirmed = end;
  }

  /** Resolves when everything before `end` may be seen. */
  untilSeen(end: number, appended: readonly Appended[]): Promise<readonly Appended[]> {
    return this.#seen.wait(end, this.#deadlineMs, appended);
  }

  /** Resolves or rejects when a send that ends at `end` is to be answered. */
  untilAnswered(end: number, appended: readonly Appended[]): Promise<readonly Appended[]> {
    if (this.#quorum === loneQuorum) return this.untilSeen(end, appended);
    return this.#sent.wait(end, this.#deadlineMs, appended);
  }

  /** As `untilAnswered`, for a send that is in the log already, anywhere before its end. `stopped`: why the store takes nothing. */
  untilAnsweredAgain(end: number, durable: number, stopped?: MqError): Promise<void> {
    const refusal = this.#repeatRefusal(end, stopped);
    if (refusal !== undefined) return Promise.reject(refusal);
    if (this.#again.count >= limits.repeatedSendsWaitingMax) {
      return Promise.reject(
        new MqError("TOO_MANY_REQUESTS", "too many repeated sends wait for the first ones"),
      );
    }
    const waiting = this.#again.wait(end, this.#deadlineMs);
    this.#answerAgain(durable);
    return waiting;
  }

  /** A lease that is over refuses always; a store that has failed, and too few brokers in sync, what was not confirmed before. */
  #repeatRefusal(end: number, stopped: MqError | undefined): MqError | undefined {
    const refusal = this.#quorum.refusal();
    if (refusal?.code === "NOT_MASTER" || end > this.#confirmed) return stopped ?? refusal;
    return stopped?.code === "STORE_FAILED" ? undefined : stopped;
  }

  #answerAgain(durable: number): void {
    if (this.#again.count === 0) return;
    const quorum = this.#quorum;
    this.#again.confirm(quorum.answered(durable), (end) => quorum.outcome(end));
  }

  /** Takes the newest word of disk and quorum. Gives the confirmed position. */
  confirm(durable: number): number {
    this.#confirmed = Math.max(this.#confirmed, this.#quorum.confirmed(durable));
    return this.#confirmed;
  }

  /** Answers all that have become due. To be called when everything confirmed has been dispatched. */
  answer(durable: number): void {
    this.#seen.confirm(this.#confirmed);
    this.#answerAgain(durable);
    if (this.#sent.count === 0) return;
    const quorum = this.#quorum;
    this.#sent.confirm(quorum.answered(durable), (end) => quorum.outcome(end));
  }

  /** Refuses those whose time is over, and sets the deadline of those who come next: no clock is read for each append. */
  expire(durable: number): void {
    const nowMs = this.#clock.monotonicMs();
    this.#deadlineMs = nowMs + timeoutCheckMs + this.#timeoutMs;
    this.#seen.expire(nowMs, (end) => lateError(end, durable));
    this.#sent.expire(nowMs, (end) => lateError(end, durable));
    this.#again.expire(nowMs, (end) => lateError(end, durable));
  }

  /** Refuses all that end behind `end`. */
  refuse(end: number, error: MqError): void {
    this.#seen.refuse(end, error);
    this.#sent.refuse(end, error);
    this.#again.refuse(end, error);
  }
}

/** It is stored, or will be. */
function lateError(end: number, durable: number): MqError {
  const facts = { position: end };
  if (end > durable) {
    return new MqError(
      "MASTER_PERSISTENCE_TIMEOUT",
      "the disk did not confirm the write within syncFlushTimeout; the message may be stored",
      { facts },
    );
  }
  return new MqError(
    "SLAVE_PERSISTENCE_TIMEOUT",
    "the other brokers of the group did not confirm the message in time; it is stored here",
    { facts },
  );
}
