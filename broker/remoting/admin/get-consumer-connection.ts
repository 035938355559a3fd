// GetConsumerConnection: who consumes as a group, and what each of them wants.
import { brokerAdminService } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { type ClientRow, wishText } from "../../clients/index.ts";
import { existingGroup } from "../resources.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { clientFields } from "./client-fields.ts";

/** The handler of GetConsumerConnection. */
export function getConsumerConnection(context: AdminContext): MethodHandler {
  const method = brokerAdminService.methods.GetConsumerConnection;
  return unary(method, context.logger, (request) => {
    const group = existingGroup(context, request.group);
    const members = context.clients.consumers(group.name);
    // Of a member that has only sent heartbeats nothing is known yet.
    const known = members.filter(({ subscriptions }) => subscriptions.length > 0);
    const wishes = new Set(known.map(wishOf));
    return {
      status: okStatus,
      clients: members.map((member) =>
        clientFields(member, context.clients.shares.of(group.name, member.clientId)),
      ),
      subscriptionsDiffer: wishes.size > 1,
    };
  });
}

/** All that a member wants, as one text to compare. */
function wishOf(member: ClientRow): string {
  const wishes = member.subscriptions.map((one) => `${one.topic} ${wishText(one)}`);
  return wishes.sort().join("\n");
}
