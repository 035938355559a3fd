// Heartbeat: a client says that it is there. Also taken from clients whose settings this server has not seen: after
// a restart of the server some clients send theirs only minutes later.
import { messagingService } from "@cometmq/proto";
import type { MethodHandler } from "../../transport/index.ts";
import { isPassedOn, passedHeaders } from "../cluster/index.ts";
import { checkGroupName } from "../metadata/index.ts";
import { callerOf } from "./caller.ts";
import type { RemotingContext } from "./context.ts";
import { okStatus, unary } from "./unary.ts";

/** The handler of Heartbeat. */
export function heartbeat(context: RemotingContext): MethodHandler {
  const method = messagingService.methods.Heartbeat;
  return unary(method, context.logger, (request, call, bytes) => {
    const identity = callerOf(call);
    const group = request.group?.name ?? "";
    if (group !== "") checkGroupName(group);
    context.clients.heartbeat(identity, call.connection, { type: request.clientType, group });
    // Who serves it through this broker has to know that it lives.
    if (!isPassedOn(call)) {
      const headers = passedHeaders(call, context.config.values.brokerName);
      context.cluster.notify(identity.id, { path: method.path, request: bytes, headers });
    }
    return { status: okStatus };
  });
}
