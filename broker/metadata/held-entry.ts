// A held message as the state keeps it: a record in the log that is in no consume queue yet. Absolute values only, so
// that applying a change twice is the same as applying it once.

/** Why a message is held: until its time has come, or until its transaction ends. */
export const heldKinds = ["timer", "half"] as const;
export type HeldKind = (typeof heldKinds)[number];

/** Names a held message. */
export interface HeldKey {
  readonly kind: HeldKind;
  /** When something is to be done about it, milliseconds since 1970, `[0, 2^53 - 1]`. */
  readonly dueMs: number;
  /** Log position of its first record; the same for as long as it is held. */
  readonly id: number;
}

/** A held message. */
export interface HeldEntry extends HeldKey {
  readonly topic: string;
  /** Where its newest record lies in the log. */
  readonly position: number;
  /** Bytes of that record. */
  readonly size: number;
  /** How often something was done about it: the checks of a transaction. */
  readonly count: number;
}

/** What becomes of a held message that is there. */
export interface HeldChange extends HeldKey {
  readonly topic: string;
  /** What it is from now on; undefined: it is held no more. */
  readonly next: Pick<HeldEntry, "dueMs" | "position" | "size" | "count"> | undefined;
}

/** Tells of a change that has been applied: a new message has no `before`, one that is held no more no `after`. */
export type HeldEvent =
  | { readonly before: undefined; readonly after: HeldEntry }
  | { readonly before: HeldKey; readonly after: HeldEntry | undefined };

/** Hears of changes in log order. Must not throw. */
export type HeldListener = (event: HeldEvent) => void;
