// What the brokers of a simulated group have confirmed: one log, the same bytes at every broker and for ever. Reads it
// as clients were promised it: which message is where, and what a consumer is done with.
import { decodeProgress, givenUpTopic } from "../../broker/metadata/index.ts";
import { asRecordBuffer, checkRecord, RecordType, RecordView } from "../../broker/store/record.ts";
import { DelayedLog, delayedTopic } from "./delayed-log.ts";
import { liteTopic, plainTopic, priorityTopic } from "./names.ts";
import { TopicLog } from "./topic-log.ts";
import { TransactionLog, transactionTopic } from "./transaction-log.ts";

/** The log that nobody may take back. */
export class ConfirmedLog {
  /** Messages that are NORMAL, or FIFO where order counts. */
  readonly plain: TopicLog;
  readonly priorities: TopicLog;
  readonly lite: TopicLog;
  /** Delayed messages, which have a topic of their own. */
  readonly delayed: DelayedLog;
  readonly transactions: TransactionLog;
  readonly #problems: string[];
  #bytes = Buffer.alloc(2 ** 20);
  #end = 0;
  #parsed = 0;

  constructor(problems: string[]) {
    this.#problems = problems;
    this.plain = new TopicLog(problems, { topic: plainTopic });
    this.priorities = new TopicLog(problems, { topic: priorityTopic });
    this.lite = new TopicLog(problems, { topic: liteTopic, isLite: true });
    this.delayed = new DelayedLog(problems);
    this.transactions = new TransactionLog(problems);
  }

  get end(): number {
    return this.#end;
  }

  /**
   * A broker has confirmed these bytes at `from`, whole records. Gives false when they are not what was confirmed
   * before.
   */
  take(from: number, bytes: Buffer): boolean {
    const known = Math.max(0, Math.min(this.#end - from, bytes.length));
    if (bytes.compare(this.#bytes, from, from + known, 0, known) !== 0) return false;
    if (from > this.#end || known === bytes.length) return true;
    while (this.#bytes.length < from + bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    }
    bytes.copy(this.#bytes, this.#end, known);
    this.#end = from + bytes.length;
    this.#parse();
    return true;
  }

  /** The first position at which `bytes`, which begin at `from`, are not what was confirmed, or where one of both ends. */
  commonUpTo(from: number, bytes: Buffer): number {
    const size = Math.max(0, Math.min(this.#end - from, bytes.length));
    if (bytes.compare(this.#bytes, from, from + size, 0, size) === 0) return from + size;
    let at = 0;
    while (bytes[at] === this.#bytes[from + at]) at += 1;
    return from + at;
  }

  #parse(): void {
    const source = asRecordBuffer(this.#bytes);
    while (this.#parsed < this.#end) {
      const size = checkRecord(source, this.#parsed, this.#end, this.#parsed);
      if (typeof size === "string") {
        this.#problems.push(`what is confirmed ends inside a record at ${this.#parsed}: ${size}`);
        this.#parsed = this.#end;
        return;
      }
      this.#note(new RecordView(source, this.#parsed));
      this.#parsed += size;
    }
  }

  #note(record: RecordView): void {
    if (record.type === RecordType.progress) return this.#noteProgress(record);
    if (record.topic === delayedTopic) return this.delayed.note(record);
    if (record.topic === transactionTopic || record.topic === givenUpTopic) {
      return this.transactions.note(record);
    }
    this.#topic(record.topic)?.note(record);
  }

  #noteProgress(record: RecordView): void {
    const end = record.position + record.size;
    for (const change of decodeProgress(record.body)) {
      this.#topic(change.topic)?.noteProgress(change, end);
    }
  }

  #topic(name: string): TopicLog | undefined {
    return [this.plain, this.priorities, this.lite].find(({ topic }) => topic === name);
  }
}
