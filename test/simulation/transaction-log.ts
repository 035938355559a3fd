// What the confirmed log of a simulated group says of transactions: taken, made visible, and given up.
import { givenUpTopic } from "../../broker/metadata/index.ts";
import { RecordType, type RecordView } from "../../broker/store/record.ts";

/** How a producer means a transaction to end; nobody ever tells the end of an abandoned one. */
export type Meaning = "commit" | "rollback" | "abandoned";

/** A half message, as its producer knows it. */
export interface Transaction {
  readonly text: string;
  readonly meaning: Meaning;
  /** Who has taken it; undefined while nobody has said so. */
  takenBy: { readonly brokerId: number; readonly epoch: number } | undefined;
  /** Whether an end was ever said to a broker. */
  isSaid: boolean;
  /** Whether that was answered OK. */
  isEnded: boolean;
  /** How often its producers were asked. */
  askedCount: number;
}

/** Where they are sent to. */
export const transactionTopic = "transfers";

/** Reads the records of transactions in log order. */
export class TransactionLog {
  /** Texts of half messages that were taken. */
  readonly taken: Set<string> = new Set();
  /** Texts of messages that consumers may see, by `queue/offset`. */
  readonly visible: Map<string, string> = new Map();
  readonly givenUp: Set<string> = new Set();
  readonly #shown = new Set<string>();
  readonly #problems: string[];

  constructor(problems: string[]) {
    this.#problems = problems;
  }

  /** Whether a message was committed or given up. */
  isShown(text: string): boolean {
    return this.#shown.has(text);
  }

  note(record: RecordView): void {
    const text = Buffer.from(record.body).toString().trim();
    if (record.type === RecordType.halfMessage) this.taken.add(text);
    if (record.type !== RecordType.message) return;
    if (this.#shown.has(text)) this.#problems.push(`${text} is made visible twice`);
    this.#shown.add(text);
    if (record.topic === givenUpTopic) this.givenUp.add(text);
    else this.visible.set(`${record.queueId}/${record.queueOffset}`, text);
  }

  /**
   * What is wrong when no transaction is open any more. `isKept`: what was answered OK is promised to be there. `checkMax`:
   * how often producers are asked before a transaction is given up.
   */
  verdict(
    transactions: ReadonlyMap<string, Transaction>,
    { isKept, checkMax }: { readonly isKept: boolean; readonly checkMax: number },
  ): string[] {
    const problems: string[] = [];
    const visible = new Set(this.visible.values());
    for (const transaction of transactions.values()) {
      const { text, takenBy, isEnded, askedCount, meaning } = transaction;
      const isTaken = this.taken.has(text) || (isKept && takenBy !== undefined);
      const who = `${text}, taken by ${takenBy?.brokerId} in epoch ${takenBy?.epoch},`;
      if (visible.has(text) && !(meaning === "commit" && transaction.isSaid)) {
        problems.push(`${who} is visible, and nobody has committed it`);
      }
      if (this.givenUp.has(text) && askedCount < checkMax) {
        problems.push(`${who} is given up after ${askedCount} checks of ${checkMax}`);
      }
      if (this.givenUp.has(text) && isEnded && isKept) {
        problems.push(`${who} is given up, and its ${meaning} was answered OK`);
      }
      if (isTaken && meaning === "commit" && !visible.has(text) && !this.givenUp.has(text)) {
        problems.push(`${who} is committed, and never visible`);
      }
      if (isTaken && meaning === "abandoned" && !this.givenUp.has(text)) {
        problems.push(`${who} was abandoned, and is not given up`);
      }
    }
    return problems;
  }
}
