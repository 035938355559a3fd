// What an answer to a send means for each message of the request. Pure.
import { ClientError, statusError } from "./client-error.ts";
import type { SendResponse, SendResult } from "./wire/send-response.ts";

/** What became of one message. */
export type SendOutcome = SendResult | ClientError;

interface Place {
  readonly address: string;
  readonly topic: string;
}

const doing = "SendMessage";

/**
 * One outcome a message, in order. An answer that fits no request gives PROTOCOL for all. RocketMQ's
 * own brokers store a batch as one unit and answer with a single entry under an id of their own.
 */
export function sendOutcomes(
  answer: SendResponse,
  messages: readonly { readonly messageId: string }[],
  place: Place,
): readonly SendOutcome[] {
  const count = messages.length;
  const { entries } = answer;
  if (entries.length === count) return entries.map((entry) => outcomeOf(entry, place));
  const [unit] = entries;
  const refused = statusError(answer.status, doing, place);
  if (entries.length === 0 && refused !== undefined) return messages.map(() => refused);
  const foreign = messages.every(({ messageId }) => messageId !== answer.firstMessageId);
  if (unit !== undefined && entries.length === 1 && foreign) {
    const outcome = outcomeOf(unit, place);
    if (outcome instanceof ClientError) return messages.map(() => outcome);
    return messages.map((_, index) => ({ ...unit, offset: unit.offset + index }));
  }
  const wrong = new ClientError(
    "PROTOCOL",
    `${doing}: ${entries.length} results for ${count} messages; some may be stored`,
    place,
  );
  return messages.map(() => wrong);
}

/** With a result of its own, a message that is answered so is stored on the master and on too few slaves. */
const storedCodes: ReadonlySet<string> = new Set(["HA_NOT_AVAILABLE", "SLAVE_PERSISTENCE_TIMEOUT"]);

function outcomeOf(entry: SendResult, place: Place): SendOutcome {
  const error = statusError(entry.status, doing, place);
  if (error === undefined) return entry;
  if (!storedCodes.has(error.code)) return error;
  const said = entry.status?.message ?? "";
  const text = `${doing}: the master has stored the message, but too few slaves have it: ${said}`;
  return new ClientError(error.code, text, { ...place, stored: true });
}

/** Refusals that may be the fault of one message: its neighbours in the request deserve a try without it. */
const messageFaults: ReadonlySet<string> = new Set([
  "BAD_REQUEST",
  "ILLEGAL_MESSAGE_TAG",
  "ILLEGAL_MESSAGE_KEY",
  "ILLEGAL_MESSAGE_GROUP",
  "ILLEGAL_MESSAGE_PROPERTY_KEY",
  "ILLEGAL_MESSAGE_ID",
  "ILLEGAL_DELIVERY_TIME",
  "ILLEGAL_LITE_TOPIC",
  "MESSAGE_CORRUPTED",
  "PAYLOAD_TOO_LARGE",
  "MESSAGE_BODY_TOO_LARGE",
  "MESSAGE_BODY_EMPTY",
  "MESSAGE_PROPERTIES_TOO_LARGE",
]);

/** Whether a message was refused, stored nowhere, in a way that may be the fault of a neighbour in its request. */
export function mayBeNeighboursFault(outcome: SendOutcome | undefined): boolean {
  return outcome instanceof ClientError && messageFaults.has(outcome.code);
}
