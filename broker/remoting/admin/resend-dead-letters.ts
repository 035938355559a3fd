// ResendDeadLetters: a group gets the originals of its dead letters again. The group's own offset in its dead-letter topic
// says up to where that was done, so that asking twice does it once.
import { brokerAdminService, cometmq, readMessageProperties } from "@cometmq/proto";
import { limits, MqError } from "../../../base/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import type { GivenAgain, GroupPlace } from "../../delivery/index.ts";
import { deadLetterTopic } from "../../metadata/index.ts";
import { isQueued, type RecordView } from "../../store/index.ts";
import { existingGroup, masterHere } from "../resources.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { requireIndex } from "./found-messages.ts";
import { originOf } from "./group-deliveries.ts";
import { recordAt } from "./record-at.ts";

const { ResendOutcome } = cometmq.v1;

type Request = cometmq.v1.ResendDeadLettersRequest;
type Answer = cometmq.v1.IResendDeadLettersResponse;

/** The handler of ResendDeadLetters. */
export function resendDeadLetters(context: AdminContext): MethodHandler {
  const method = brokerAdminService.methods.ResendDeadLetters;
  return unary<Request, Answer>(method, context.logger, async (request) => {
    const { delivery, metadata } = masterHere(context);
    const { name } = existingGroup({ config: context.config, metadata }, request.group);
    const place = { group: name, topic: deadLetterTopic(name), queueId: 0 };
    const resend = new Resend(context, place);
    const { offsets } = delivery;
    const { minOffset, endOffset } = offsets.bounds(place);
    const doneOffset = Math.max(minOffset, offsets.get(place) ?? minOffset);
    if ((request.messageId ?? "") !== "") {
      const messages = await resend.byId(request.messageId ?? "");
      const isNext = messages.some(({ deadLetterOffset }) => deadLetterOffset === doneOffset);
      const nextOffset = isNext ? doneOffset + 1 : doneOffset;
      if (isNext) await offsets.commit(place, nextOffset);
      return { status: okStatus, messages, nextOffset, endOffset };
    }
    const from = Math.max(minOffset, request.fromOffset ?? doneOffset);
    const countMax = Math.min(request.maxMessages || limits.resendCountMax, limits.resendCountMax);
    const nextOffset = Math.min(endOffset, from + countMax);
    const messages = await resend.range(from, nextOffset);
    if (nextOffset > doneOffset) await offsets.commit(place, nextOffset);
    return { status: okStatus, messages, nextOffset, endOffset };
  });
}

/** One call. */
class Resend {
  readonly #context: AdminContext;
  readonly #place: GroupPlace;

  constructor(context: AdminContext, place: GroupPlace) {
    this.#context = context;
    this.#place = place;
  }

  /** The newest dead letter of an id, and one of each topic when there are several. Throws MESSAGE_NOT_FOUND. */
  async byId(messageId: string): Promise<cometmq.v1.IResentDeadLetter[]> {
    const { store } = this.#context;
    const { group, topic } = this.#place;
    const found = await requireIndex(this.#context).byId(topic, messageId);
    const records = (await store.readCold(found)).filter((record) => record !== undefined);
    if (records.length === 0) {
      throw new MqError(
        "MESSAGE_NOT_FOUND",
        `there is no dead letter of id ${messageId} of the group ${group}`,
      );
    }
    const byOrigin = new Map(records.toReversed().map((record) => [originOf(record), record]));
    return await this.#resend([...byOrigin.values()]);
  }

  /** The dead letters `[from, end)`; what has expired is left out. */
  async range(from: number, end: number): Promise<cometmq.v1.IResentDeadLetter[]> {
    const records: RecordView[] = [];
    for (let offset = from; offset < end; offset++) {
      const record = await recordAt(this.#context.store, { ...this.#place, offset });
      if (record !== undefined) records.push(record);
    }
    return await this.#resend(records);
  }

  async #resend(deadLetters: readonly RecordView[]): Promise<cometmq.v1.IResentDeadLetter[]> {
    const told: cometmq.v1.IResentDeadLetter[] = [];
    for (const deadLetter of deadLetters) told.push(await this.#one(deadLetter));
    await this.#context.delivery.tracking?.written();
    return told;
  }

  async #one(deadLetter: RecordView): Promise<cometmq.v1.IResentDeadLetter> {
    const { store, delivery } = this.#context;
    const topic = originOf(deadLetter);
    const { messageId } = readMessageProperties(deadLetter.systemProperties);
    const told = { messageId, deadLetterOffset: deadLetter.queueOffset, topic };
    const found = await requireIndex(this.#context).byId(topic, messageId);
    // A message that its client has sent twice may be there twice: oldest first.
    const originals = (await store.readCold(found)).toReversed();
    let answer: cometmq.v1.IResentDeadLetter = { ...told, outcome: ResendOutcome.ORIGINAL_GONE };
    for (const original of originals) {
      if (original === undefined || !isQueued(original.type)) continue;
      const { queueId, queueOffset, messageGroupHash } = original;
      const place = { topic, queueId, queueOffset };
      const given = delivery.tracking?.giveAgain(this.#place.group, place, messageGroupHash);
      if (given === undefined || given === "gone") continue;
      answer = { ...told, outcome: outcomeOf[given], queueId, queueOffset };
      if (given === "given") break;
    }
    return answer;
  }
}

const outcomeOf: Readonly<Record<GivenAgain, cometmq.v1.ResendOutcome>> = {
  given: ResendOutcome.RESENT,
  "not done": ResendOutcome.NOT_DONE,
  gone: ResendOutcome.ORIGINAL_GONE,
  "no progress": ResendOutcome.NO_PROGRESS,
};
