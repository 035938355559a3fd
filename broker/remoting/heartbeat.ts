// Heartbeat: a client says that it is there. Also taken from clients whose settings this server has not seen: after
// a restart of the server some clients send theirs only minutes later.
import { messagingService } from "@cometmq/proto";
import type { MethodHandler } from "../../transport/index.ts";
import { identify } from "../clients/index.ts";
import { checkGroupName } from "../metadata/index.ts";
import type { RemotingContext } from "./context.ts";
import { okStatus, unary } from "./unary.ts";

/** The handler of Heartbeat. */
export function heartbeat(context: RemotingContext): MethodHandler {
  return unary(messagingService.methods.Heartbeat, context.logger, (request, call) => {
    const identity = identify((name) => call.header(name));
    const group = request.group?.name ?? "";
    if (group !== "") checkGroupName(group);
    context.clients.heartbeat(identity, call.connection, { type: request.clientType, group });
    return { status: okStatus };
  });
}
