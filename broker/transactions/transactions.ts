// Transactions of a broker that is master: how many half messages there may be, how each ends, and who is asked when
// nobody says. docs/messages/transactions.md.
import { readMessageProperties } from "@cometmq/proto";
import { type Clock, type Logger, limits, MqError } from "../../base/index.ts";
import { HeldHandles, type HeldMessages, type QueuesNow, queueNow } from "../held/index.ts";
import type { HeldEntry, Metadata } from "../metadata/index.ts";
import type { RecordDraft, RecordView } from "../store/index.ts";
import { Checks, type CheckTimes } from "./checks.ts";
import { committedCopy } from "./copies.ts";
import { newCounters, type TransactionCounters } from "./counters.ts";
import { OpenHalves } from "./open-halves.ts";
import { type Outcome, type OutcomeNote, Outcomes } from "./outcomes.ts";
import type { Producers } from "./ports.ts";

/** What transactions stand on. */
export interface TransactionsOptions extends QueuesNow {
  readonly held: HeldMessages;
  readonly metadata: Pick<Metadata, "topic" | "macKey" | "ensureGivenUpTopic">;
  readonly producers: Producers;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Stands in every transaction id, 1 to 255 UTF-8 bytes. */
  readonly brokerName: string;
  /** Read each time: they may change. */
  readonly times: CheckTimes & {
    /** From a send to the first check, unless the message says otherwise, milliseconds. */
    readonly firstMs: () => number;
  };
  /** Half messages held at once. Read each time. */
  readonly halfMax: () => number;
  /** Hears how long a transaction was open, milliseconds. */
  readonly finished?: (openMs: number) => void;
  /** For tests: messages in memory that wait for a check, and ends remembered. */
  readonly windowMax?: number;
  readonly outcomesMax?: number;
}

/** What a producer says of a transaction. */
export interface TransactionEnd {
  readonly topic: string;
  readonly messageId: string;
  readonly transactionId: string;
  /** Undefined: not known yet, ask again. */
  readonly resolution: "commit" | "rollback" | undefined;
}

/** The transactions of one reign. */
export class Transactions {
  readonly counters: TransactionCounters = newCounters();
  readonly #options: TransactionsOptions;
  readonly #handles: HeldHandles;
  readonly #halves: OpenHalves;
  readonly #outcomes: Outcomes;
  readonly #checks: Checks;
  /** Admitted, and not answered yet. */
  #comingCount = 0;

  private constructor(options: TransactionsOptions) {
    this.#options = options;
    const { held, metadata, clock, logger, brokerName } = options;
    this.#handles = new HeldHandles(metadata.macKey, brokerName);
    this.#halves = OpenHalves.open({ held, clock, logger });
    this.#outcomes = new Outcomes(clock, options.outcomesMax ?? limits.transactionOutcomesMax);
    this.#checks = Checks.start({
      ...options,
      halves: this.#halves,
      outcomes: this.#outcomes,
      counters: this.counters,
      transactionIdOf: ({ topic, id }) => this.idOf(topic, id),
    });
  }

  /** Checks what is due, from now on. */
  static open(options: TransactionsOptions): Transactions {
    return new Transactions(options);
  }

  /** Half messages held now. */
  get halfCount(): number {
    return this.#options.held.state.count("half");
  }

  /** When a half message that is sent now is checked first, milliseconds since 1970. `ownMs`: what the message asks for. */
  firstCheckAtMs(ownMs: number | undefined): number {
    const afterMs = ownMs !== undefined && ownMs > 0 ? ownMs : this.#options.times.firstMs();
    return this.#checks.nowMs() + afterMs;
  }

  /** Makes room for `count` half messages that are about to be appended; `settled` follows. Throws TOO_MANY_REQUESTS. */
  admit(count: number): void {
    const max = this.#options.halfMax();
    const open = this.halfCount + this.#comingCount;
    if (open + count > max) {
      this.counters.refused += count;
      throw new MqError(
        "TOO_MANY_REQUESTS",
        `this broker has ${open} open transactions, at most ${max} are allowed (transactionHalfMax)`,
      );
    }
    this.#comingCount += count;
  }

  /** Half messages that were admitted have been stored, or not. */
  settled(count: number, outcome: "stored" | "refused"): void {
    this.#comingCount -= count;
    if (outcome === "stored") this.counters.accepted += count;
  }

  /** The transaction id of a half message that was appended at `position`. */
  idOf(topic: string, position: number): string {
    return this.#handles.encode(topic, { kind: "half", dueMs: 0, id: position });
  }

  /**
   * Ends a transaction; resolves when that is as durable as a send. The same end again is the same answer, as long as it is
   * remembered. Throws INVALID_TRANSACTION_ID (not given by this broker for a message of this topic, or ended so long ago
   * that it is forgotten), BAD_REQUEST when it has ended the other way, HA_NOT_AVAILABLE, and what the store throws.
   */
  async end(said: TransactionEnd): Promise<void> {
    const { topic, transactionId, resolution } = said;
    const key = this.#handles.decode(transactionId, { topic, kind: "half" });
    if (key === undefined) throw foreignId();
    if (resolution === undefined) {
      if (!(await this.#halves.has(key.id))) await this.#ended(said, key.id);
      return;
    }
    const entry = await this.#halves.take(key.id);
    if (entry === undefined) return await this.#ended(said, key.id);
    const record = await this.#claimedRecord(entry, said.messageId);
    const isCommit = resolution === "commit";
    const copies = isCommit ? [committedCopy(record, queueNow(this.#options, record))] : [];
    await this.#settle(entry, isCommit ? "committed" : "rolled back", copies);
    this.#options.finished?.(Math.max(0, this.#checks.nowMs() - record.storeTimeMs));
  }

  /** Asks and ends nothing more. Resolves when the log has answered for what is under way. */
  close(): Promise<void> {
    this.#halves.close();
    return this.#checks.close();
  }

  /** The record of a claimed message, which it gives up when it cannot give it. */
  async #claimedRecord(entry: HeldEntry, messageId: string): Promise<RecordView> {
    const { held } = this.#options;
    let isGood = false;
    try {
      const { position, size } = entry;
      const record = held.store.read(position, size) ?? (await held.store.readCold([entry]))[0];
      if (record === undefined) {
        throw new MqError("CORRUPT", "the half message is not in the log any more");
      }
      const ownId = readMessageProperties(record.systemProperties).messageId;
      if (messageId !== "" && messageId !== ownId) {
        throw new MqError(
          "INVALID_TRANSACTION_ID",
          `the transaction is of message ${ownId}, not of ${messageId}`,
        );
      }
      isGood = true;
      return record;
    } finally {
      if (!isGood) held.free(entry);
    }
  }

  async #settle(
    entry: HeldEntry,
    outcome: "committed" | "rolled back",
    copies: readonly RecordDraft[],
  ): Promise<void> {
    const { answer, end, fate } = this.#options.held.commit(
      [{ ...entry, next: undefined }],
      copies,
      "send",
    );
    // Whoever comes when the claim is given up finds it: it is taken back when nothing has come of it.
    const note = this.#outcomes.note(entry.id, outcome, end);
    const told = this.#tellFate(entry, note, fate);
    await answer;
    await told;
  }

  async #tellFate(
    { id }: HeldEntry,
    note: OutcomeNote,
    fate: Promise<MqError | undefined>,
  ): Promise<void> {
    const failure = await fate;
    if (failure !== undefined) this.#outcomes.takeBack(id, note);
    else if (note.outcome === "committed") this.counters.committed += 1;
    else this.counters.rolledBack += 1;
  }

  /** Answers for a transaction that is not open: when its end is as durable as was promised, as for a repeated send. */
  async #ended({ topic, resolution }: TransactionEnd, id: number): Promise<void> {
    if (this.#options.held.state.isDead({ topic, id })) {
      throw new MqError(
        "INVALID_TRANSACTION_ID",
        "the transaction went when its topic was deleted",
      );
    }
    const note = this.#outcomes.of(id);
    if (note === undefined) {
      throw new MqError(
        "INVALID_TRANSACTION_ID",
        "the transaction has ended; how is not remembered any more",
      );
    }
    const { outcome, end } = note;
    if (outcome === "given up") {
      throw new MqError(
        "INVALID_TRANSACTION_ID",
        "the transaction was given up: no producer told its end when it was asked; the message is in TRANS_CHECK_MAX_TIME_TOPIC",
      );
    }
    if (resolution === undefined) return;
    if (outcome !== outcomeOf[resolution]) {
      throw new MqError(
        "BAD_REQUEST",
        `the transaction has been ${outcome} already: a ${resolution} comes too late`,
      );
    }
    await this.#options.held.store.sendAgain(end);
  }
}

const outcomeOf: Readonly<Record<"commit" | "rollback", Outcome>> = {
  commit: "committed",
  rollback: "rolled back",
};

function foreignId(): MqError {
  return new MqError(
    "INVALID_TRANSACTION_ID",
    "the transaction id is blank, malformed, altered, or of another topic; use the one of the send receipt",
  );
}
