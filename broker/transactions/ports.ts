// What transactions ask of the rest of the broker, and no more.
import type { RecordView } from "../store/index.ts";

/** A half message that nobody has settled. */
export interface Orphan {
  readonly topic: string;
  readonly transactionId: string;
  readonly record: RecordView;
}

/** The producers that are here. */
export interface Producers {
  /** Whether somebody could be asked about a transaction of `topic` now. */
  canAsk(topic: string): boolean;
  /** Asks one of them; false when nobody could be asked. */
  ask(orphan: Orphan): boolean;
}
