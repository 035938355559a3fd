// What a broker keeps in memory for its consumers: within its bounds, as much as it says, as much as the model knows to be
// out, and nothing when all is consumed and everybody has gone.
import { limits } from "../../base/index.ts";
import { expect } from "./broken-promise.ts";
import type { Expectation } from "./expectation.ts";
import { type Kind, kindOf, kinds, messageGroups } from "./kinds.ts";
import { liteTopics } from "./lite-sets.ts";
import type { ModelBroker } from "./model-broker.ts";
import { isKept } from "./renewals.ts";
import type { Sent } from "./sent.ts";

/** Messages that are out, at most. */
export interface HoldingBounds {
  /** Of a group on one queue. */
  readonly perQueue: number;
  /** Of all groups; those that have few may have more. */
  readonly total: number;
}

/** A number that is not known exactly. */
interface Range {
  readonly min: number;
  readonly max: number;
}

/** What one broker holds. */
export class Holdings {
  readonly bounds: HoldingBounds;
  readonly #broker: ModelBroker;
  readonly #expectation: Expectation;

  constructor(broker: ModelBroker, expectation: Expectation, bounds: HoldingBounds) {
    this.#broker = broker;
    this.#expectation = expectation;
    this.bounds = bounds;
  }

  /** Throws what is wrong while no call is under way. */
  check(): void {
    const { delivery } = this.#broker.local;
    const { pending, renewed, heldPolls } = delivery.figures();
    const counts = [...delivery.groups()].map((group) => this.#checkGroup(group));
    const count = sum(counts);
    expect(count === pending, `${pending} messages are said to be out, and ${count} are`);
    const counted = delivery.pendingBound.count;
    expect(count === counted, `${counted} messages are counted as out, and ${count} are`);
    const { total } = this.bounds;
    const most = Math.max(0, ...counts);
    const isWithin = most <= Math.max(total, limits.pendingPerGroupMin) + messageGroups.length;
    expect(isWithin, `${most} messages of a group are out, and ${total} of all may be`);
    expect(heldPolls === 0, `${heldPolls} receives are held that have been answered`);
    this.#checkRenewed(renewed);
    for (const kind of kinds) this.#checkKind(kind);
  }

  /** Whether the bound of all groups can be reached. */
  get isCrowded(): boolean {
    return this.bounds.total < limits.pendingTotalMax;
  }

  /** Whether a group may be at a bound. */
  mayBeFull(kind: Kind): boolean {
    const ofQueues = kind.queueIds.map((queueId) => this.#out(kind, queueId).max);
    if (ofQueues.some((max) => max >= this.bounds.perQueue)) return true;
    const all = sum(kinds.map((one) => this.#out(one).max));
    return all >= this.bounds.total && this.#out(kind).max >= limits.pendingPerGroupMin;
  }

  /** What keeps a group from having consumed everything. */
  left(): readonly string[] {
    const { delivery } = this.#broker.local;
    if (!this.#knowsLitePlaces) return ["lite topics are being read"];
    return kinds.flatMap(({ group }) =>
      delivery.progress(group).flatMap(({ queueId, pendingCount, lag, doneOffset, endOffset }) => [
        ...(pendingCount > 0 ? [`${pendingCount} of ${group} are out of ${queueId}`] : []),
        ...(lag > 0 ? [`${lag} are left for ${group} in ${queueId}`] : []),
        // What was passed over in an earlier process is not in the lag.
        ...(doneOffset < endOffset
          ? [`${group} is done up to ${doneOffset} of ${endOffset} in ${queueId}`]
          : []),
      ]),
    );
  }

  /** Throws what is left after everything was consumed, all clients have gone, and some minutes have passed. */
  async checkNothingLeft(): Promise<void> {
    const { delivery, state } = this.#broker.local;
    const { pending, renewed, heldPolls, fullLanes, readAheadBytes, lite } = delivery.figures();
    const left = { pending, renewed, heldPolls, fullLanes, readAheadBytes };
    for (const [what, count] of Object.entries(left)) expect(count === 0, `${what} is ${count}`);
    expect(lite.subscriptions === 0, `${lite.subscriptions} lite topics are subscribed to`);
    const { clientCount } = this.#broker;
    expect(clientCount === 0, `${clientCount} clients are there`);
    for (const { group } of kinds) {
      for (const { queueId, doneOffset, endOffset } of delivery.progress(group)) {
        const isDone = doneOffset === endOffset;
        expect(isDone, `${group} is done up to ${doneOffset} of ${endOffset} in ${queueId}`);
      }
    }
    for await (const progress of state.loadProgress()) {
      const { group, queueId, pending: stored } = progress;
      expect(stored.length === 0, `${stored.length} are stored for ${group} in ${queueId}`);
    }
  }

  /** Whether the places of messages in lite topics are all known, and no more; not exact where lite topics go. */
  get #knowsLitePlaces(): boolean {
    const { topic, queueIds } = kindOf("LITE");
    const { delivery } = this.#broker.local;
    const { topics, offsets } = delivery.figures().lite;
    const ofQueues = queueIds.map((queueId) => delivery.offsets.bounds({ topic, queueId }));
    const count = sum(ofQueues.map(({ minOffset, endOffset }) => endOffset - minOffset));
    if (topics > liteTopics.length || offsets > count) return false;
    return offsets === count || this.#expectation.idleLite.expirationMs !== undefined;
  }

  #checkGroup(group: string): number {
    // A message group of which something was passed over goes on by one at a time.
    const most = this.bounds.perQueue + (group === kindOf("FIFO").group ? messageGroups.length : 0);
    const lanes = this.#broker.local.delivery.progress(group);
    for (const { queueId, pendingCount } of lanes) {
      const isWithin = pendingCount <= most;
      expect(isWithin, `${pendingCount} of ${group} are out of ${queueId}, ${most} may be`);
    }
    return sum(lanes.map(({ pendingCount }) => pendingCount));
  }

  #checkKind(kind: Kind): void {
    const { min, max } = this.#out(kind);
    const lanes = this.#broker.local.delivery.progress(kind.group);
    const count = sum(lanes.map(({ pendingCount }) => pendingCount));
    const isRight = count >= min && count <= max;
    expect(isRight, `${count} messages of ${kind.name} are out, and ${min} to ${max} should be`);
  }

  #checkRenewed(count: number): void {
    const { nowMs } = this.#broker;
    this.#expectation.renewals.look(nowMs);
    let [min, max] = [0, 0];
    for (const sent of this.#expectation.sent.values()) {
      if (!isKept(sent) || (sent.done !== "no" && !sent.isVague)) continue;
      max += 1;
      if (this.#isOut(sent) && sent.hiddenUntilMs > nowMs) min += 1;
    }
    const isRight = count >= min && count <= max;
    expect(isRight, `${count} messages are renewed, and ${min} to ${max} should be`);
  }

  /** How many messages are out, of one queue or of all. */
  #out(kind: Kind, queueId?: number): Range {
    let [min, max] = [0, 0];
    for (const sent of this.#expectation.sent.values()) {
      if (sent.kind !== kind.name) continue;
      const isElsewhere = sent.offset >= 0 && sent.queueId !== queueId;
      if (queueId !== undefined && isElsewhere) continue;
      if (this.#isOut(sent)) min += 1;
      if (mayBeOut(sent)) max += 1;
    }
    return { min, max };
  }

  /** Whether a message is out, without doubt. */
  #isOut(sent: Sent): boolean {
    if (sent.handle === "" || sent.done !== "no" || sent.stored !== "yes") return false;
    if (sent.isVague || sent.isPassedOver || sent.isEnding) return false;
    return !this.#expectation.isSpent(sent, this.#broker.nowMs);
  }
}

function mayBeOut(sent: Sent): boolean {
  if (sent.stored === "no") return false;
  if (sent.isVague) return true;
  if (sent.done !== "no") return false;
  // What has to be read before it is given in order is out meanwhile.
  return sent.handle !== "" || sent.kind === "FIFO" || sent.kind === "LITE";
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}
