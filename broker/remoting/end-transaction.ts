// EndTransaction: a producer says how a transaction ended, by itself or because it was asked. Clients say it to the broker
// of the send, or to their access point: the broker that holds the half message answers.
import { messagingService, rocketmq } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import { heldHandleBroker } from "../held/index.ts";
import { checkTopicName } from "../metadata/index.ts";
import type { TransactionEnd } from "../transactions/index.ts";
import { callerOf } from "./caller.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { byOwner, otherOwner } from "./handle-owner.ts";
import { okStatus, unary } from "./unary.ts";

const method = messagingService.methods.EndTransaction;
const { TransactionResolution } = rocketmq.v2;

type Request = rocketmq.v2.EndTransactionRequest;
type Answer = rocketmq.v2.IEndTransactionResponse;

/** The handler of EndTransaction. */
export function endTransaction(context: RemotingContext): MethodHandler {
  return unary<Request, Answer>(method, context.logger, async (request, call, bytes) => {
    callerOf(call);
    const topic = request.topic?.name ?? "";
    if (context.local()?.metadata.topic(topic) === undefined) checkTopicName(topic);
    const { messageId, transactionId } = request;
    if (heldHandleBroker(transactionId) === undefined) {
      throw new MqError(
        "INVALID_TRANSACTION_ID",
        "the transaction id is blank or malformed; use the one of the send receipt",
      );
    }
    const said = { topic, messageId, transactionId, resolution: resolutionOf(request.resolution) };
    // An acting master ends no transactions: the call waits for its master.
    const here = ({ transactions }: LocalParts): Promise<Answer> | undefined =>
      transactions?.end(said).then(() => ({ status: okStatus }));
    return await byOwner(context, call, {
      owner: otherOwner(context, transactionId, heldHandleBroker),
      passing: { path: method.path, request: bytes, topic },
      here,
    });
  });
}

/** Undefined when the producer does not know: Go, Python and Rust say that, the others say nothing. */
function resolutionOf(resolution: number): TransactionEnd["resolution"] {
  if (resolution === TransactionResolution.COMMIT) return "commit";
  if (resolution === TransactionResolution.ROLLBACK) return "rollback";
  if (resolution === TransactionResolution.TRANSACTION_RESOLUTION_UNSPECIFIED) return undefined;
  throw new MqError(
    "BAD_REQUEST",
    `${resolution} is no resolution of a transaction: commit is 1, rollback 2, not known 0`,
  );
}
