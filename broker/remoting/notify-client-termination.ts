// NotifyClientTermination: a client says goodbye. Its held polls end before they are given anything, and messages
// whose visibility the server renewed for it become visible.
import { messagingService } from "@cometmq/proto";
import type { MethodHandler } from "../../transport/index.ts";
import { hopHeaders, isPassedOn, passedHeaders } from "../cluster/index.ts";
import { callerOf } from "./caller.ts";
import type { RemotingContext } from "./context.ts";
import { okStatus, unary } from "./unary.ts";

/** The handler of NotifyClientTermination. */
export function notifyClientTermination(context: RemotingContext): MethodHandler {
  const method = messagingService.methods.NotifyClientTermination;
  return unary(method, context.logger, (_request, call, bytes) => {
    const { id } = callerOf(call);
    if (isPassedOn(call) && call.header(hopHeaders.gone) !== undefined) {
      context.clients.disconnect(id, call.connection);
      return { status: okStatus };
    }
    context.local()?.delivery.clientLeft(id);
    context.clients.terminate(id, call.connection);
    if (!isPassedOn(call)) {
      context.cluster.endPolls(id);
      const headers = passedHeaders(call, context.config.values.brokerName);
      context.cluster.notifyLast(id, { path: method.path, request: bytes, headers });
    }
    return { status: okStatus };
  });
}
