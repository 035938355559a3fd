// Which member of a group reads which queue, for consumers that pull: a queue has one reader at a time. It goes to another
// member only when the one before says that it has let go, has left, or has been silent for too long. In memory: members
// say what they read whenever they ask, so that a broker that has just started knows it again. Promised: docs/pull.md.
import { type Clock, limits } from "../../base/index.ts";
import { averageShare } from "./average-share.ts";

/** A queue of a topic, on any broker. */
export interface SharedQueue {
  readonly brokerName: string;
  readonly queueId: number;
}

/** A member that asks what it may read. */
export interface ShareQuestion {
  readonly group: string;
  readonly topic: string;
  readonly clientId: string;
  /** What it reads now; undefined: it does not say, and then it reads what it was told to in the last answer. */
  readonly reads?: readonly SharedQueue[] | undefined;
}

interface Member {
  askedAtMs: number;
  /** Told to let go of them in the last answer; asking again says that it has, when it does not say what it reads. */
  releasing: readonly string[];
}

/** One group on one topic. */
interface Board {
  readonly key: string;
  readonly group: string;
  readonly topic: string;
  /** Before, members that are there may not have asked yet. */
  readonly openAtMs: number;
  readonly members: Map<string, Member>;
  /** Who reads a queue, by the queue's name. */
  readonly readers: Map<string, { readonly clientId: string; readonly queue: SharedQueue }>;
}

/** The shares that this broker gives out. */
export class QueueShares {
  readonly #clock: Clock;
  readonly #boards = new Map<string, Board>();
  readonly #byClient = new Map<string, Set<Board>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Notes that a member is there. Gives how long it has to wait until all others have had the time to say so too, milliseconds. */
  join(question: ShareQuestion): number {
    const nowMs = this.#clock.monotonicMs();
    const { group, topic, clientId } = question;
    const board = this.#board(group, topic);
    const member = board.members.get(clientId) ?? { askedAtMs: nowMs, releasing: [] };
    member.askedAtMs = nowMs;
    board.members.set(clientId, member);
    const boards = this.#byClient.get(clientId);
    if (boards === undefined) this.#byClient.set(clientId, new Set([board]));
    else boards.add(board);
    noteReads(board, member, question);
    return Math.max(0, board.openAtMs - nowMs);
  }

  /**
   * The queues that the member may read from now on; of those that it reads and does not find here it lets go before it
   * asks again. `queues`: all of the topic, in the same order for everybody.
   */
  take(question: ShareQuestion, queues: readonly SharedQueue[]): readonly SharedQueue[] {
    const { group, topic, clientId } = question;
    this.join(question);
    const board = this.#board(group, topic);
    this.#dropSilent(board);
    const member = board.members.get(clientId);
    if (member === undefined) return [];
    const share = averageShare(queues, [...board.members.keys()].sort(), clientId).filter(
      (queue) => (board.readers.get(nameOf(queue))?.clientId ?? clientId) === clientId,
    );
    const names = new Set(share.map(nameOf));
    member.releasing = [...board.readers]
      .filter(([name, reader]) => reader.clientId === clientId && !names.has(name))
      .map(([name]) => name);
    for (const queue of share) board.readers.set(nameOf(queue), { clientId, queue });
    return share;
  }

  /** A client is gone: what it read is free. */
  leave(clientId: string): void {
    for (const board of this.#byClient.get(clientId) ?? []) this.#drop(board, clientId);
  }

  /** A client reads only these topics as a member of `group`: what it read of others is free. */
  retain(group: string, clientId: string, topics: ReadonlySet<string>): void {
    for (const board of this.#byClient.get(clientId) ?? []) {
      if (board.group === group && !topics.has(board.topic)) this.#drop(board, clientId);
    }
  }

  /** Forgets members that have been silent for too long. */
  sweep(): void {
    for (const board of this.#boards.values()) this.#dropSilent(board);
  }

  /** What a client reads as a member of `group`, by topic. */
  of(group: string, clientId: string): (SharedQueue & { readonly topic: string })[] {
    const boards = [...(this.#byClient.get(clientId) ?? [])].filter(
      (board) => board.group === group,
    );
    return boards.flatMap(({ topic, readers }) =>
      [...readers.values()]
        .filter((reader) => reader.clientId === clientId)
        .map(({ queue }) => ({ topic, ...queue })),
    );
  }

  #board(group: string, topic: string): Board {
    const key = `${group}\n${topic}`;
    let board = this.#boards.get(key);
    if (board === undefined) {
      const openAtMs = this.#clock.monotonicMs() + limits.pullShareSettleMs;
      board = { key, group, topic, openAtMs, members: new Map(), readers: new Map() };
      this.#boards.set(key, board);
    }
    return board;
  }

  #dropSilent(board: Board): void {
    const oldestMs = this.#clock.monotonicMs() - limits.pullMemberSilenceMs;
    for (const [clientId, { askedAtMs }] of board.members) {
      if (askedAtMs < oldestMs) this.#drop(board, clientId);
    }
  }

  #drop(board: Board, clientId: string): void {
    board.members.delete(clientId);
    for (const [name, reader] of board.readers) {
      if (reader.clientId === clientId) board.readers.delete(name);
    }
    if (board.members.size === 0) this.#boards.delete(board.key);
    const boards = this.#byClient.get(clientId);
    boards?.delete(board);
    if (boards?.size === 0) this.#byClient.delete(clientId);
  }
}

/** Takes over what a member reads. What another reads already stays the other's: this one will be told to let go. */
function noteReads(board: Board, member: Member, { clientId, reads }: ShareQuestion): void {
  for (const name of member.releasing) board.readers.delete(name);
  member.releasing = [];
  if (reads === undefined) return;
  const names = new Set(reads.map(nameOf));
  for (const [name, reader] of board.readers) {
    if (reader.clientId === clientId && !names.has(name)) board.readers.delete(name);
  }
  for (const queue of reads) {
    const name = nameOf(queue);
    if (!board.readers.has(name)) board.readers.set(name, { clientId, queue });
  }
}

function nameOf({ brokerName, queueId }: SharedQueue): string {
  return `${brokerName}/${queueId}`;
}
