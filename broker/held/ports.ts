// What held messages ask of the store, and no more.
import type { MqError } from "../../base/index.ts";
import type { Appended, RecordDraft, RecordPlace, RecordView } from "../store/index.ts";

/** The store as held messages use it. */
export interface HeldStore {
  /** Behind the last record appended: where the next one will be. */
  readonly end: number;
  /** Everything before it has been applied. */
  readonly dispatched: number;
  readonly failure: MqError | undefined;
  /** See `Store.append`. */
  append(group: readonly RecordDraft[]): Promise<readonly Appended[]>;
  /** See `Store.send`. */
  send(group: readonly RecordDraft[]): Promise<readonly Appended[]>;
  /** See `Store.sendAgain`. */
  sendAgain(end: number): Promise<void>;
  /** From memory; undefined when `readCold` has to be asked. */
  read(position: number, size: number): RecordView | undefined;
  /** From files, in the order asked; undefined for what has expired. */
  readCold(places: readonly RecordPlace[]): Promise<readonly (RecordView | undefined)[]>;
}
