// NotifyClientTermination: a client says goodbye. Its held polls end before they are given anything, and messages
// whose visibility the server renewed for it become visible.
import { messagingService } from "@cometmq/proto";
import type { MethodHandler } from "../../transport/index.ts";
import { identify } from "../clients/index.ts";
import type { RemotingContext } from "./context.ts";
import { okStatus, unary } from "./unary.ts";

/** The handler of NotifyClientTermination. */
export function notifyClientTermination(context: RemotingContext): MethodHandler {
  const method = messagingService.methods.NotifyClientTermination;
  return unary(method, context.logger, (_request, call) => {
    const { id } = identify((name) => call.header(name));
    context.local()?.delivery.endPolls(id);
    context.clients.terminate(id, call.connection);
    return { status: okStatus };
  });
}
