// Consumers of a modelled broker that read queues by offset: what they get is what is there, in order and without gaps, and
// the offsets that they store stay.
import { messagingService, rocketmq, timestampOfMs } from "@cometmq/proto";
import { expect } from "./broken-promise.ts";
import type { Calls, CallsOptions } from "./calls.ts";
import { CommittedOffsets } from "./committed-offsets.ts";
import type { Expectation } from "./expectation.ts";
import { isPulled, type Kind, kinds } from "./kinds.ts";
import type { Sent } from "./sent.ts";
import { everything, type Wanted } from "./wanted.ts";

const { methods } = messagingService;
const { Code, QueryOffsetPolicy } = rocketmq.v2;
const puller = "puller";

/** The group that pulls. */
export const pullGroup = "pull-group";

/** One queue. */
export interface QueueOfKind {
  readonly kind: Kind;
  readonly queueId: number;
}

/** A wish of a client that pulls. */
export interface PullWish extends QueueOfKind {
  readonly offset: number;
  readonly count: number;
  readonly wanted: Wanted;
}

/** What a pull got. */
interface Pulled {
  readonly code: number;
  readonly got: readonly { readonly id: string; readonly offset: number }[];
  readonly nextOffset: number;
}

/** All consumers that pull. */
export class Pullers {
  readonly #calls: Calls;
  readonly #expectation: Expectation;
  readonly #say: (line: string) => void;
  readonly committed: CommittedOffsets = new CommittedOffsets();

  constructor(options: CallsOptions) {
    this.#calls = options.calls;
    this.#expectation = options.expectation;
    this.#say = options.say;
  }

  /** Reads a queue from an offset on. */
  pull(wish: PullWish): void {
    const known = this.#known(wish);
    this.#calls.start([], async () => {
      const pulled = await this.#pulled(wish);
      if (pulled.got.length > 0) this.#say(`pulled ${pulled.got.map(({ id }) => id).join(", ")}`);
      this.#check(wish, pulled, known);
    });
  }

  /** Reads all queues to their ends; throws when a message is in none. */
  async pullAll(): Promise<void> {
    const found = new Set<string>();
    for (const kind of kinds.filter(isPulled)) {
      for (const queueId of kind.queueIds) await this.#pullQueue({ kind, queueId }, found);
    }
    for (const { id, stored, isVague, kind } of this.#expectation.sent.values()) {
      // Others are in no queue before their time, and some never; those with a priority are not pulled.
      const isWanted = kind === "NORMAL" || kind === "FIFO" || kind === "LITE";
      const isThere = found.has(id) || stored !== "yes" || isVague || !isWanted;
      expect(isThere, `${id} was answered OK, and is in no queue`);
    }
  }

  /** Stores an offset, and asks for it. */
  update({ kind, queueId, offset }: QueueOfKind & { readonly offset: number }): void {
    const { path, request, response } = methods.UpdateOffset;
    const bytes = request.encode({ ...namesOf({ kind, queueId }), offset });
    const answered = this.committed.say(nameOf({ kind, queueId }), offset);
    this.#calls.start([], async () => {
      const code = response.decode(await this.#calls.broker.call(path, bytes, puller)).status?.code;
      expect(code === Code.OK, `the offset ${offset} of a queue is answered ${code}`);
      answered();
    });
  }

  /** Stores an offset that the queue does not have. */
  updateBeyond(queue: QueueOfKind): void {
    const { path, request, response } = methods.UpdateOffset;
    const bytes = request.encode({ ...namesOf(queue), offset: 1_000_000 });
    this.#calls.start([], async () => {
      const code = response.decode(await this.#calls.broker.call(path, bytes, puller)).status?.code;
      expect(code === Code.ILLEGAL_OFFSET, `an offset far beyond the end is answered ${code}`);
    });
  }

  /** Asks for the stored offset. */
  get(queue: QueueOfKind): void {
    const { path, request, response } = methods.GetOffset;
    const bytes = request.encode(namesOf(queue));
    const mark = this.committed.mark(nameOf(queue));
    this.#calls.start([], async () => {
      const { status, offset } = response.decode(
        await this.#calls.broker.call(path, bytes, puller),
      );
      const isNone = status?.code === Code.OFFSET_NOT_FOUND;
      expect(isNone || status?.code === Code.OK, `a stored offset is answered ${status?.code}`);
      this.committed.check(nameOf(queue), isNone ? undefined : offset, mark);
    });
  }

  /** Asks where a queue begins and ends, and where the messages of a moment begin. */
  query(queue: QueueOfKind, ms: number): void {
    const known = this.#known(queue);
    this.#calls.start([], async () => {
      const first = await this.#query(queue, { queryOffsetPolicy: QueryOffsetPolicy.BEGINNING });
      const end = await this.#query(queue, { queryOffsetPolicy: QueryOffsetPolicy.END });
      const { TIMESTAMP: queryOffsetPolicy } = QueryOffsetPolicy;
      const timestamp = timestampOfMs(ms);
      const at = await this.#query(queue, { queryOffsetPolicy, timestamp });
      expect(first === 0, `${nameOf(queue)} begins at ${first}`);
      const last = endOf(known);
      expect(end >= last, `${nameOf(queue)} ends at ${end}, and has messages up to ${last}`);
      expect(at <= end, `${nameOf(queue)} ends at ${end}, and a moment is at ${at}`);
      const early = known.find(({ offset, sentAtMs }) => offset < at && sentAtMs >= ms);
      expect(early === undefined, `${early?.id} was sent after the moment that is at ${at}`);
    });
  }

  async #pullQueue(queue: QueueOfKind, found: Set<string>): Promise<void> {
    for (let offset = 0; ; ) {
      const wish = { ...queue, offset, count: 32, wanted: everything };
      const known = this.#known(queue);
      const pulled = await this.#calls.broker.time.run(this.#pulled(wish));
      this.#check(wish, pulled, known);
      for (const { id } of pulled.got) found.add(id);
      if (pulled.got.length === 0) return;
      offset = pulled.nextOffset;
    }
  }

  /** Messages of which it was known where in the queue they are. */
  #known({ kind, queueId }: QueueOfKind): readonly Sent[] {
    return [...this.#expectation.sent.values()].filter((sent) => {
      if (sent.kind !== kind.name || sent.offset < 0 || sent.queueId !== queueId) return false;
      return sent.stored === "yes";
    });
  }

  #check(wish: PullWish, { code, got, nextOffset }: Pulled, known: readonly Sent[]): void {
    const { offset, count, wanted, kind, queueId } = wish;
    const from = `${nameOf(wish)} from ${offset}`;
    const { nowMs } = this.#calls.broker;
    if (code === Code.ILLEGAL_OFFSET) {
      const end = endOf(known);
      return expect(offset > end && nextOffset >= end, `${from} is refused; it ends at ${end}`);
    }
    const isGood = code === (got.length > 0 ? Code.OK : Code.MESSAGE_NOT_FOUND);
    expect(isGood, `a pull of ${from} is answered ${code} with ${got.length} messages`);
    expect(
      got.length <= count,
      `a pull of ${from} gets ${got.length} messages, and wants ${count}`,
    );
    let last = offset - 1;
    for (const one of got) {
      const isNext = wanted === everything ? one.offset === last + 1 : one.offset > last;
      expect(isNext, `a pull of ${from} gets ${one.id} at ${one.offset} behind ${last}`);
      last = one.offset;
      this.#expectation.pulled(one.id, { queueId, offset: one.offset, nowMs, wanted });
    }
    expect(nextOffset > last, `a pull of ${from} goes on at ${nextOffset}, behind ${last}`);
    const isOver = wanted !== everything || nextOffset === last + 1;
    expect(isOver, `a pull of ${from} leaves out what is behind ${last} up to ${nextOffset}`);
    const end = got.length < count ? Number.POSITIVE_INFINITY : nextOffset;
    const given = new Set(got.map(({ id }) => id));
    const missed = known.find((sent) => {
      const isAsked = sent.offset >= offset && sent.offset < end && wanted.matches(sent);
      return isAsked && !given.has(sent.id) && sent.stored === "yes";
    });
    expect(missed === undefined, `a pull of ${from} of ${kind.name} misses ${missed?.id}`);
  }

  async #pulled({ offset, count, wanted, ...queue }: PullWish): Promise<Pulled> {
    const { path, request, response } = methods.PullMessage;
    const bytes = request.encode({
      ...namesOf(queue),
      offset,
      batchSize: count,
      filterExpression: { type: wanted.type, expression: wanted.expression },
    });
    let code = 0;
    let nextOffset = -1;
    const got = [];
    for (const frame of await this.#calls.broker.receive(path, bytes, puller)) {
      const answer = response.decode(frame);
      if (answer.status?.code) code = answer.status.code;
      nextOffset = answer.nextOffset ?? nextOffset;
      const properties = answer.message?.systemProperties;
      if (!properties) continue;
      got.push({ id: properties.messageId, offset: properties.queueOffset ?? -1 });
    }
    return { code, got, nextOffset };
  }

  async #query(
    { kind, queueId }: QueueOfKind,
    fields: Partial<rocketmq.v2.IQueryOffsetRequest>,
  ): Promise<number> {
    const { path, request, response } = methods.QueryOffset;
    const messageQueue = { topic: { name: kind.topic }, id: queueId };
    const bytes = request.encode({ messageQueue, ...fields });
    const { status, offset } = response.decode(await this.#calls.broker.call(path, bytes, puller));
    expect(status?.code === Code.OK, `a question for an offset is answered ${status?.code}`);
    return offset;
  }
}

function nameOf({ kind, queueId }: QueueOfKind): string {
  return `${kind.name} ${queueId}`;
}

function namesOf({ kind, queueId }: QueueOfKind): {
  group: { name: string };
  messageQueue: { topic: { name: string }; id: number };
} {
  return {
    group: { name: pullGroup },
    messageQueue: { topic: { name: kind.topic }, id: queueId },
  };
}

function endOf(known: readonly Sent[]): number {
  return known.reduce((end, { offset }) => Math.max(end, offset + 1), 0);
}
