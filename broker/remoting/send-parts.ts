// A request of several messages of which some are refused: what goes to one queue is taken or refused together, and each
// message is answered for itself. Rare: a request that is taken whole never comes here.
import { type MessageView, type SendResultView, writeSendMessageResponse } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import { multipleResults, type StatusFields, statusOf } from "./unary.ts";

/** Writes the answer of a request: its status, and an entry for each message, or none when nothing is stored. */
export type Respond = (status: StatusFields, results: readonly SendResultView[]) => Uint8Array;

/** How messages are judged. */
export interface Judge {
  queueOf(message: MessageView): number;
  /** Throws the MqError that `message` is refused with. */
  check(message: MessageView): void;
}

/** Why each of `messages` is refused, by index; undefined for those that may be stored. */
export function refusalsOf(
  messages: readonly MessageView[],
  judge: Judge,
): readonly (MqError | undefined)[] {
  const faults = messages.map((message) => faultOf(message, judge));
  const queues = messages.map((message) => judge.queueOf(message));
  /** By queue: what its messages share that are refused for another one. */
  const shared = new Map<number | undefined, MqError>();
  for (const [index, fault] of faults.entries()) {
    const queueId = queues[index];
    if (fault !== undefined && !shared.has(queueId)) shared.set(queueId, neighbourOf(fault, index));
  }
  return faults.map((fault, index) => fault ?? shared.get(queues[index]));
}

/** Answers for all of `messages`, of which those that are not refused have been sent as a request of their own. */
export function respondFor(
  messages: readonly MessageView[],
  refusals: readonly (MqError | undefined)[],
): Respond {
  return (status, taken) => {
    const rest = taken.values();
    const results = messages.map(({ messageId }, index): SendResultView => {
      const refusal = refusals[index];
      if (refusal !== undefined) return resultOf(messageId, statusOf(refusal));
      // None for what was not stored after all.
      return rest.next().value ?? resultOf(messageId, status);
    });
    const isOne = results.every(({ code }) => code === results[0]?.code);
    return writeSendMessageResponse(isOne ? status : multipleResults, results);
  };
}

/** Whether all messages are refused, and with one code. */
export function isOneRefusal(refusals: readonly (MqError | undefined)[]): boolean {
  const [first] = refusals;
  return first !== undefined && refusals.every((refusal) => refusal?.code === first.code);
}

function faultOf(message: MessageView, judge: Judge): MqError | undefined {
  try {
    judge.check(message);
    return undefined;
  } catch (error) {
    if (error instanceof MqError) return error;
    throw error;
  }
}

function neighbourOf(reason: MqError, index: number): MqError {
  return new MqError(
    reason.code,
    `message ${index + 1} of the request goes to the same queue and is refused, and with it all for that queue: ${reason.message}`,
  );
}

function resultOf(messageId: string, { code, message }: StatusFields): SendResultView {
  return { code, message, messageId, transactionId: "", offset: 0 };
}
