// Consumers of a modelled broker: they receive and say what becomes of messages, and tell the expectation what they are
// answered.
import { messagingService, rocketmq } from "@cometmq/proto";
import { givenUpTopic } from "../../broker/metadata/index.ts";
import { expect } from "./broken-promise.ts";
import type { Calls, CallsOptions } from "./calls.ts";
import type { Expectation, Got } from "./expectation.ts";
import type { Holdings } from "./holdings.ts";
import { type Kind, kinds, namesOf } from "./kinds.ts";
import type { LiteStart } from "./lite-places.ts";
import { type LiteChange, LiteSets } from "./lite-sets.ts";
import type { Sent } from "./sent.ts";
import { everything, type Wanted } from "./wanted.ts";

const { methods } = messagingService;
const { Code } = rocketmq.v2;

/** What a receive asks for. */
export interface Wish {
  readonly kind: Kind;
  readonly client: string;
  readonly count: number;
  /** 0: the broker keeps them from others as long as the client is alive. */
  readonly invisibleMs: number;
  readonly wanted: Wanted;
}

/** What came of a receive. */
interface Received {
  readonly got: readonly Got[];
  /** Too many messages are out. */
  readonly isRefused: boolean;
}

const undertaker = "undertaker";

/** All consumers that receive. */
export class Consumers {
  readonly #calls: Calls;
  readonly #expectation: Expectation;
  readonly #holdings: Holdings;
  readonly #say: (line: string) => void;
  /** What lite topics they want. */
  readonly lite: LiteSets = new LiteSets();

  constructor(options: CallsOptions) {
    this.#calls = options.calls;
    this.#expectation = options.expectation;
    this.#holdings = options.holdings;
    this.#say = options.say;
  }

  /** A client says which lite topics it wants. */
  subscribe(kind: Kind, client: string, change: LiteChange, start?: LiteStart): void {
    const { path, request, response } = methods.SyncLiteSubscription;
    const { action, names: liteTopicSet } = change;
    const names = { topic: { name: kind.topic }, group: { name: kind.group } };
    const answered = this.lite.say(client, change);
    this.#seen(client);
    const line = start === undefined ? [] : this.#lineOf(change.names);
    this.#calls.start(line, async () => {
      const offsetOption = start?.option ?? { policy: rocketmq.v2.OffsetOption.Policy.LAST };
      const bytes = request.encode({ ...names, action, liteTopicSet, offsetOption });
      const code = response.decode(await this.#calls.broker.call(path, bytes, client)).status?.code;
      expect(code === Code.OK, `a subscription of ${client} is answered ${code}`);
      answered();
      this.#expectation.idleLite.look(this.#calls.broker.nowMs);
      if (start !== undefined) this.#expectation.startLite(change.names, start);
    });
  }

  receive(wish: Wish): void {
    const { kind, client, count, invisibleMs, wanted } = wish;
    const { path, request } = methods.ReceiveMessage;
    const bytes = request.encode({
      group: { name: kind.group },
      messageQueue: { topic: { name: kind.topic }, id: -1 },
      filterExpression: { type: wanted.type, expression: wanted.expression },
      batchSize: count,
      ...(invisibleMs === 0
        ? { autoRenew: true }
        : { invisibleDuration: { seconds: invisibleMs / 1_000 } }),
      longPollingTimeout: { seconds: 0, nanos: 1_000_000 },
    });
    const about = [...this.#expectation.sent.values()].filter(({ kind: of }) => of === kind.name);
    // Another call that is under way may take them, or end them.
    this.#seen(client);
    const ready =
      this.#calls.count === 0 ? this.#expectation.ready(kind.name, this.#calls.broker.nowMs) : [];
    const mark = this.lite.mark(client);
    const mayBeFull = this.#holdings.mayBeFull(kind);
    this.#calls.start(about, async () => {
      const { got, isRefused } = await this.#got(path, bytes, client);
      const isAlone = this.#calls.count === 1;
      // What comes again needs no room.
      const again = ready.filter(({ attempt }) => attempt > 0);
      const wasFull = mayBeFull || this.#holdings.mayBeFull(kind);
      expect(wasFull || !isRefused, `a receive of ${client} is refused, and there is room`);
      if (kind.name === "LITE") this.#checkWanted(got, client, this.lite.allowed(client, mark));
      const { nowMs } = this.#calls.broker;
      if (got.length > 0) this.#say(`${client} gets ${got.map(({ id }) => id).join(", ")}`);
      for (const sent of this.#expectation.sent.values()) {
        if (sent.kind !== kind.name || wanted.matches(sent)) continue;
        sent.isPassedOver = true;
      }
      this.#expectation.renewals.look(nowMs);
      const renewedFor = invisibleMs === 0 ? client : "";
      this.#expectation.receive(got, { nowMs, invisibleMs, renewedFor, wanted });
      if (!isAlone) return;
      // Room that other groups make is seen a moment later.
      const isFull = wasFull || this.#holdings.isCrowded || this.#holdings.mayBeFull(kind);
      const due = isFull ? again : ready;
      if (kind.name === "PRIORITY") this.#expectation.checkPriorities(got, due, nowMs);
      if (got.length === 0 && wanted === everything) this.#expectation.checkEmpty(due, nowMs);
    });
  }

  /** A client says that it is there. */
  heartbeat(kind: Kind, client: string): void {
    const { path, request, response } = methods.Heartbeat;
    const { LITE_SIMPLE_CONSUMER, SIMPLE_CONSUMER } = rocketmq.v2.ClientType;
    const clientType = kind.name === "LITE" ? LITE_SIMPLE_CONSUMER : SIMPLE_CONSUMER;
    const bytes = request.encode({ group: { name: kind.group }, clientType });
    this.#seen(client);
    this.#calls.start([], async () => {
      const code = response.decode(await this.#calls.broker.call(path, bytes, client)).status?.code;
      expect(code === Code.OK, `a heartbeat of ${client} is answered ${code}`);
    });
  }

  /** A client says goodbye. Nothing else is under way. */
  leave(kind: Kind, client: string): void {
    const { path, request, response } = methods.NotifyClientTermination;
    const { broker } = this.#calls;
    this.#calls.start([], async () => {
      const bytes = await broker.call(
        path,
        request.encode({ group: { name: kind.group } }),
        client,
      );
      const code = response.decode(bytes).status?.code;
      expect(code === Code.OK, `the goodbye of ${client} is answered ${code}`);
      this.#expectation.renewals.left(client, broker.nowMs);
      broker.disconnect(client);
      this.lite.leave(client);
    });
  }

  /** A client loses its connection; its next call opens another one. */
  disconnect(client: string): void {
    const { broker } = this.#calls;
    broker.disconnect(client);
    this.#expectation.renewals.disconnected(client, broker.nowMs);
  }

  acknowledge(sent: Sent, handle: string): void {
    const { topic, group } = namesOf(sent);
    const { path, request, response } = methods.AckMessage;
    const entries = [{ messageId: sent.id, receiptHandle: handle }];
    sent.isEnding = true;
    this.#calls.start([sent], async () => {
      const bytes = await this.#calls.broker.call(
        path,
        request.encode({ topic, group, entries }),
        "c0",
      );
      const code = response.decode(bytes).entries[0]?.status?.code ?? 0;
      if (this.#checkHandle(sent, handle, code)) this.#changed(sent, { done: "acknowledged" });
    });
  }

  changeInvisible(sent: Sent, handle: string, invisibleMs: number): void {
    const { topic, group } = namesOf(sent);
    const { path, request, response } = methods.ChangeInvisibleDuration;
    const invisibleDuration = { seconds: Math.floor(invisibleMs / 1_000) };
    const fields = { topic, group, receiptHandle: handle, invisibleDuration };
    this.#calls.start([sent], async () => {
      const answer = response.decode(
        await this.#calls.broker.call(path, request.encode(fields), "c0"),
      );
      const code = answer.status?.code ?? 0;
      if (!this.#checkHandle(sent, handle, code)) return;
      sent.oldHandles.add(handle);
      const hiddenUntilMs = this.#calls.broker.nowMs + invisibleMs;
      const { receiptHandle } = answer;
      const shown = { hiddenUntilMs, shownByMs: hiddenUntilMs, renewedFor: "" };
      this.#changed(sent, { handle: receiptHandle, ...shown });
    });
  }

  deadLetter(sent: Sent, handle: string): void {
    const { topic, group } = namesOf(sent);
    const { path, request, response } = methods.ForwardMessageToDeadLetterQueue;
    const fields = { topic, group, receiptHandle: handle, messageId: sent.id };
    sent.isEnding = true;
    this.#calls.start([sent], async () => {
      const bytes = await this.#calls.broker.call(path, request.encode(fields), "c0");
      const code = response.decode(bytes).status?.code ?? 0;
      if (this.#checkHandle(sent, handle, code)) this.#changed(sent, { done: "dead" });
    });
  }

  /** Takes what is in the dead-letter topics, and among transactions that were given up. */
  bury(): void {
    const { path, request } = methods.ReceiveMessage;
    const buried = [...kinds.map(({ group }) => `%DLQ%${group}`), givenUpTopic];
    for (const topic of buried) {
      const bytes = request.encode({
        group: { name: undertaker },
        messageQueue: { topic: { name: topic }, id: -1 },
        batchSize: 32,
        invisibleDuration: { seconds: 3_600 },
      });
      this.#calls.start([], async () => {
        // At a bound it gets few at once.
        for (let count = 1; count > 0; ) {
          const { got } = await this.#got(path, bytes, undertaker);
          count = got.length;
          for (const one of got) this.#note(topic, one);
          await this.#acknowledgeAll(topic, got);
        }
      });
    }
  }

  #note(topic: string, { id, queueId, offset }: Got): void {
    const place = `${queueId}/${offset}`;
    if (topic === givenUpTopic) this.#expectation.receiveGivenUp(id, place);
    else this.#expectation.receiveDeadLetter(id, place, this.#calls.broker.nowMs);
  }

  async #acknowledgeAll(topic: string, got: readonly Got[]): Promise<void> {
    if (got.length === 0) return;
    const { path, request, response } = methods.AckMessage;
    const entries = got.map(({ id, handle }) => ({ messageId: id, receiptHandle: handle }));
    const names = { topic: { name: topic }, group: { name: undertaker } };
    const bytes = request.encode({ ...names, entries });
    const answer = response.decode(await this.#calls.broker.call(path, bytes, undertaker));
    expect(answer.status?.code === Code.OK, `dead letters cannot be acknowledged`);
  }

  #lineOf(liteTopics: readonly string[]): readonly Sent[] {
    return [...this.#expectation.sent.values()].filter(({ liteTopic }) =>
      liteTopics.includes(liteTopic),
    );
  }

  #seen(client: string): void {
    this.#expectation.renewals.seen(client, this.#calls.broker.nowMs);
  }

  #checkWanted(got: readonly Got[], client: string, allowed: ReadonlySet<string>): void {
    for (const { id } of got) {
      const { liteTopic } = this.#expectation.of(id);
      expect(allowed.has(liteTopic), `${client} gets ${id}, and does not want ${liteTopic}`);
    }
  }

  async #got(path: string, request: Uint8Array, client: string): Promise<Received> {
    const { response } = methods.ReceiveMessage;
    const frames = await this.#calls.broker.receive(path, request, client);
    let isRefused = false;
    const got = frames.flatMap((bytes) => {
      const { message, status } = response.decode(bytes);
      const code = status?.code ?? Code.OK;
      // Topics of the broker's own are there from the first message in them on.
      const isAbsent =
        client === undertaker && (code === Code.TOPIC_NOT_FOUND || code === Code.ILLEGAL_TOPIC);
      if (code === Code.TOO_MANY_REQUESTS) isRefused = true;
      const isGood = code === Code.OK || code === Code.MESSAGE_NOT_FOUND || isRefused || isAbsent;
      expect(isGood, `a receive of ${client} is answered ${code}`);
      const properties = message?.systemProperties;
      if (!properties) return [];
      const { messageId: id, queueId, queueOffset, deliveryAttempt, receiptHandle } = properties;
      return [
        {
          id,
          queueId,
          offset: queueOffset ?? -1,
          attempt: deliveryAttempt ?? 0,
          handle: receiptHandle ?? "",
        },
      ];
    });
    return { got, isRefused };
  }

  /** Whether the broker has taken a handle; throws when it should not have, or should. */
  #checkHandle(sent: Sent, handle: string, code: number): boolean {
    this.#expectation.renewals.look(this.#calls.broker.nowMs);
    const { done, isVague, id } = sent;
    sent.isEnding = false;
    const isSpent = this.#expectation.isSpent(sent, this.#calls.broker.nowMs);
    const isNewest = handle === sent.handle;
    if (code === Code.OK) {
      const isOver = done !== "no" || isSpent || sent.isPassedOver;
      const isAllowed = isNewest || isVague || isOver;
      expect(isAllowed, `an old handle of ${id} is taken`);
      return isNewest && done === "no";
    }
    expect(code === Code.INVALID_RECEIPT_HANDLE, `a handle of ${id} is answered ${code}`);
    // Another call about it has come first, and is not answered yet.
    const isOvertaken = this.#calls.isOvertaken(sent);
    const isRefusable =
      !isNewest || isOvertaken || sent.isPassedOver || isVague || done !== "no" || isSpent;
    expect(isRefusable, `the newest handle of ${id} is refused`);
    return false;
  }

  /** Nobody has promised which of two calls that are under way together counts, nor that one counts after the last delivery. */
  #changed(sent: Sent, fields: Partial<Sent>): void {
    const isSpent = this.#expectation.isSpent(sent, this.#calls.broker.nowMs);
    if (isSpent || this.#calls.isOvertaken(sent)) sent.isVague = true;
    Object.assign(sent, fields, { changedAtMs: this.#calls.broker.nowMs });
  }
}
