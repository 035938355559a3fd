// Calls a delayed message back: asks any broker of its topic, which passes the call on to the one that holds it.
import { messagingService } from "@cometmq/proto";
import type { BrokerLink } from "./broker-link.ts";
import type { ClientCore } from "./client-core.ts";
import { ClientError, statusError, toError } from "./client-error.ts";
import { failureKind, SendAttempts } from "./send-attempts.ts";

const {
  path,
  request: requestCodec,
  response: responseCodec,
} = messagingService.methods.RecallMessage;
/** A recall goes on for so many request timeouts while nobody is there to take it. */
const timeoutsMax = 3;

/** Which message to call back. */
export interface RecallWish {
  readonly topic: string;
  /** As its send receipt has it. */
  readonly recallHandle: string;
  readonly signal?: AbortSignal | undefined;
}

/** Gives the message id. Tries again only while nobody has taken the call: whether a recall was done cannot be asked. */
export async function recallMessage(core: ClientCore, wish: RecallWish): Promise<string> {
  const { topic, recallHandle, signal } = wish;
  if (recallHandle === "") {
    throw new ClientError(
      "BAD_OPTION",
      "the recall handle is empty: only delayed messages have one",
      {
        topic,
      },
    );
  }
  const endMs = Date.now() + timeoutsMax * core.options.requestTimeoutMs;
  const attempts = new SendAttempts({ max: 1, turn: 0 });
  for (;;) {
    const broker = await core.usableBroker({
      topic,
      choose: (route) => route.brokers,
      turn: attempts.turn,
      tried: attempts.tried,
      waitMaxMs: endMs - Date.now(),
      signal: signal ?? core.closing,
    });
    if (broker === undefined) {
      throw new ClientError("UNREACHABLE", "no broker of the topic can be reached", { topic });
    }
    attempts.tried.add(broker.endpoints.facade);
    const link = core.link(broker.endpoints);
    try {
      return await callOnce(core, link, wish);
    } catch (error) {
      core.reportFailure(link, error);
      const isFree = error instanceof ClientError && failureKind(error) === "free";
      if (!isFree || !attempts.goesOn(error, false) || Date.now() >= endMs) throw error;
      const delayMs = attempts.delayMs(error, false, core.settings.sendPolicy);
      await core.links.changed.wait(delayMs, signal ?? core.closing);
    }
  }
}

async function callOnce(
  core: ClientCore,
  link: BrokerLink,
  { topic, recallHandle, signal }: RecallWish,
): Promise<string> {
  const place = { address: link.channel.address, topic };
  const request = requestCodec.encode({ topic: core.resource(topic), recallHandle });
  const timeoutMs = core.options.requestTimeoutMs;
  const bytes = await link.channel.unary(path, request, { timeoutMs, topic, signal });
  try {
    const { status, messageId } = responseCodec.decode(bytes);
    const error = statusError(status, "RecallMessage", place);
    if (error !== undefined) throw error;
    link.noteSuccess();
    return messageId;
  } catch (error) {
    if (error instanceof ClientError) throw error;
    throw new ClientError("PROTOCOL", toError(error).message, { ...place, cause: error });
  }
}
