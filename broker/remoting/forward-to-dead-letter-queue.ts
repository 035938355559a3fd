// ForwardMessageToDeadLetterQueue: a consumer gives up on a message. Without a handle, as C++ sends it, the message is
// looked for by its id: here, then at the other masters of the topic.
import { Code, messagingService, type rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import type { MethodHandler, ServerCall } from "../../transport/index.ts";
import { isPassedOn } from "../cluster/index.ts";
import { callerOf } from "./caller.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { byOwner, otherOwner } from "./handle-owner.ts";
import { type Passing, passOn, untilServed } from "./owner.ts";
import { checkHandleNames } from "./resources.ts";
import { okStatus, unary } from "./unary.ts";

const method = messagingService.methods.ForwardMessageToDeadLetterQueue;

type Request = rocketmq.v2.ForwardMessageToDeadLetterQueueRequest;
type Answer = rocketmq.v2.IForwardMessageToDeadLetterQueueResponse;

/** The handler of ForwardMessageToDeadLetterQueue. */
export function forwardToDeadLetterQueue(context: RemotingContext): MethodHandler {
  return unary<Request, Answer>(method, context.logger, async (request, call, bytes) => {
    callerOf(call);
    const group = request.group?.name ?? "";
    const topic = request.topic?.name ?? "";
    checkHandleNames(context.local()?.metadata, { group, topic });
    const { receiptHandle, messageId } = request;
    const message = { group, topic, receiptHandle, messageId };
    const here = async ({ delivery }: LocalParts): Promise<Answer> => {
      if ((await delivery.deadLetter(message)) === "invalid") throw staleHandle();
      return { status: okStatus };
    };
    const passing = { path: method.path, request: bytes, topic };
    if (receiptHandle === "") return await byId(context, call, { passing, here });
    const owner = otherOwner(context, receiptHandle);
    return await byOwner(context, call, { owner, passing, here });
  });
}

/** The first broker that has the message answers; INVALID_RECEIPT_HANDLE when none has it. */
function byId(
  context: RemotingContext,
  call: ServerCall,
  task: { readonly passing: Passing; readonly here: (parts: LocalParts) => Promise<Answer> },
): Promise<Answer | Uint8Array> {
  return untilServed(context, call, async () => {
    const parts = context.local();
    let refusal: MqError | undefined;
    if (parts !== undefined) {
      try {
        return await task.here(parts);
      } catch (error) {
        if (!(error instanceof MqError) || error.code !== "INVALID_RECEIPT_HANDLE") throw error;
        refusal = error;
      }
    }
    const answer = isPassedOn(call) ? undefined : await elsewhere(context, call, task.passing);
    if (answer === undefined && refusal !== undefined) throw refusal;
    return answer;
  });
}

/** The answer of the first master of the topic that has the message, else that of the last one asked. */
async function elsewhere(
  context: RemotingContext,
  call: ServerCall,
  passing: Passing,
): Promise<Uint8Array | undefined> {
  const places = await context.cluster.view.topic(passing.topic ?? "");
  let last: Uint8Array | undefined;
  for (const { address, isOwn } of places) {
    if (isOwn) continue;
    const answer = await passOn(context, call, { address, passing });
    if (answer === undefined) continue;
    last = answer;
    if (method.response.decode(answer).status?.code === Code.OK) return answer;
  }
  return last;
}

function staleHandle(): MqError {
  return new MqError(
    "INVALID_RECEIPT_HANDLE",
    "the receipt handle is missing, malformed, of another topic or group, or no longer valid",
  );
}
