// What the confirmed log of a simulated group says of delayed messages: taken, and delivered.
import { RecordType, type RecordView } from "../../broker/store/record.ts";

/** A delayed message that was answered OK. */
export interface AckedDelayed {
  readonly brokerId: number;
  readonly epoch: number;
  readonly handle: string;
}

/** What clients were told of delayed messages, by their texts. */
export interface DelayedPromises {
  readonly acked: ReadonlyMap<string, AckedDelayed>;
  /** Recalls that were answered OK. */
  readonly recalled: ReadonlySet<string>;
  /** Recalls that may have been done: the answer was a failure that does not say. */
  readonly doubtful: ReadonlySet<string>;
}

/** Where they are sent to. */
export const delayedTopic = "late";

/** Reads the records of delayed messages in log order. */
export class DelayedLog {
  /** Texts of messages that were taken. */
  readonly taken: Set<string> = new Set();
  readonly delivered: Set<string> = new Set();
  readonly #problems: string[];

  constructor(problems: string[]) {
    this.#problems = problems;
  }

  note(record: RecordView): void {
    const text = Buffer.from(record.body).toString().trim();
    if (record.type === RecordType.delayedMessage) this.taken.add(text);
    if (record.type !== RecordType.deliveredTimer) return;
    if (this.delivered.has(text)) this.#problems.push(`${text} is delivered twice`);
    this.delivered.add(text);
    const dueMs = Number(text.slice(text.lastIndexOf(" ") + 1));
    if (record.storeTimeMs < dueMs) {
      this.#problems.push(`${text} is delivered ${dueMs - record.storeTimeMs} ms early`);
    }
  }

  /** What is wrong when everything that was taken is due. `isKept`: what was answered OK is promised to be there. */
  verdict(promises: DelayedPromises, isKept: boolean): string[] {
    const problems: string[] = [];
    const { acked, recalled, doubtful } = promises;
    for (const text of isKept ? recalled : []) {
      if (this.delivered.has(text)) problems.push(`${text} was recalled, and is delivered`);
    }
    const expected = new Set([...this.taken, ...(isKept ? acked.keys() : [])]);
    for (const text of expected) {
      if (this.delivered.has(text) || recalled.has(text) || doubtful.has(text)) continue;
      const { brokerId, epoch } = acked.get(text) ?? {};
      const who = brokerId === undefined ? "" : `, acknowledged by ${brokerId} in epoch ${epoch},`;
      problems.push(`${text}${who} is never delivered`);
    }
    return problems;
  }
}
