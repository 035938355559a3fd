// What clients of a simulated cluster were told of the messages of one topic.

/** A message that was answered OK. */
export interface Acked {
  readonly atMs: number;
  readonly brokerId: number;
  readonly epoch: number;
  readonly queueId: number;
  readonly offset: number;
  readonly position: number;
}

/** A message as a consumer was given it. */
export interface Given {
  readonly body: string;
  readonly queueId: number;
  readonly offset: number;
  readonly atMs: number;
  readonly name: string;
  /** Up to where the broker that gave it knew its log when it was asked. */
  readonly knownUpTo: number;
}

/** All of one topic. */
export interface Told {
  /** By the texts of the messages. */
  readonly acked: ReadonlyMap<string, Acked>;
  readonly given: readonly Given[];
  /** Whether a message may have gone before anybody was given it; undefined: none may. */
  mayBeGone?(body: string): boolean;
}
