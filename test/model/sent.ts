// What is known of a message that was sent: what its producer said and was told, and how far its consumers have come.

/** What a topic takes. A kind of message that is new gets a line in `kinds.ts`. */
export type KindName = "NORMAL" | "FIFO" | "DELAY" | "TRANSACTION" | "PRIORITY" | "LITE";

/** How a transaction ended, as far as its producer was told. */
export type End = "commit" | "rollback";

/** How a message is sent. */
export interface Draft {
  readonly tag: string;
  /** A user property; empty: it does not have it. */
  readonly amount: string;
  readonly messageGroup: string;
  readonly liteTopic: string;
  /** 0 for those that have none. */
  readonly priority: number;
  /** When it may be seen first, milliseconds since 1970; 0: at once. */
  readonly dueMs: number;
}

/** A message that was sent. */
export interface Sent extends Draft {
  readonly id: string;
  readonly kind: KindName;
  readonly sentAtMs: number;
  /** When it was stored at the latest; Infinity before that is known. */
  storedByMs: number;
  /** Whether the broker has it: `maybe` until it has said so, and after it has lost what it need not keep. */
  stored: "yes" | "maybe" | "no";
  queueId: number;
  /** In its queue; -1 before that is known. */
  offset: number;
  /** In its queue, as a send was answered; -1 before that is known. */
  answeredOffset: number;
  recallHandle: string;
  recalled: "no" | "maybe" | "yes";
  transactionId: string;
  /** Ends that were said, and the one that was answered OK. */
  readonly saidEnds: Set<End>;
  end: End | undefined;
  readonly askedAtMs: number[];
  /** Its consumers' part. */
  attempt: number;
  /** Nobody gets it before; milliseconds since 1970. */
  hiddenUntilMs: number;
  /** Who asks then or later gets it. */
  shownByMs: number;
  /** The client that it is kept for as long as that is alive, or was when the broker's process ended; empty: none. */
  renewedFor: string;
  handle: string;
  readonly oldHandles: Set<string>;
  /** When that last changed; what is younger than the progress bound may be forgotten by a crash. */
  changedAtMs: number;
  done: "no" | "acknowledged" | "dead" | "skipped";
  /** A client has said that it is done with it, and is not answered yet. */
  isEnding: boolean;
  /** Its part of consumers may be older than it is here. */
  isVague: boolean;
  /** Somebody looked for messages and did not want this one. */
  isPassedOver: boolean;
}
