// A consumer that has lost a lite topic to another one of its group is told so, wherever its telemetry stream is: here, or
// at the broker that passes its calls on. What is not told in time the client's next whole set brings up again.
import { messagingService } from "@cometmq/proto";
import { background } from "../../base/index.ts";
import type { ServerCall } from "../../transport/index.ts";
import { hopHeaders, isPassedOn } from "../cluster/index.ts";
import type { LiteLoss } from "../delivery/index.ts";
import type { RemotingContext } from "./context.ts";
import { okStatus } from "./unary.ts";

const { SyncLiteSubscription, Telemetry } = messagingService.methods;

/** What was lost, but for who lost what. */
interface LostPlace {
  readonly topic: string;
  readonly group: string;
}

/** Whether another broker says in `call` that a client which is connected here has lost lite topics. */
export function isLossNotice(call: Pick<ServerCall, "header">): boolean {
  return isPassedOn(call) && call.header(hopHeaders.liteLoss) !== undefined;
}

/** Tells a client that is connected here of its losses; gives those that it could not be told. */
export function tellHere(
  { clients }: Pick<RemotingContext, "clients">,
  losses: readonly LiteLoss[],
): readonly LiteLoss[] {
  return losses.filter(({ clientId, name }) => {
    const command = { status: okStatus, notifyUnsubscribeLiteCommand: { liteTopic: name } };
    return !clients.tellLiteConsumer(clientId, Telemetry.response.encode(command));
  });
}

/** Tells clients of their losses; those that are connected elsewhere a moment later. */
export function tellLosses(
  context: RemotingContext,
  place: LostPlace,
  losses: readonly LiteLoss[],
): void {
  const others = new Map<string, string[]>();
  for (const { clientId, name } of tellHere(context, losses)) {
    const names = others.get(clientId);
    if (names === undefined) others.set(clientId, [name]);
    else names.push(name);
  }
  if (others.size > 0) background(tellElsewhere(context, place, others));
}

async function tellElsewhere(
  { clients, cluster, config }: RemotingContext,
  { topic, group }: LostPlace,
  lost: ReadonlyMap<string, readonly string[]>,
): Promise<void> {
  const { brokerName } = config.values;
  const places = await cluster.view.knownTopic(topic);
  for (const [clientId, names] of lost) {
    const via = clients.get(clientId)?.passedOnBy;
    if (via === undefined) continue;
    // A master of the topic is told the subscription that took it as well, and tells its client by itself.
    if (via !== brokerName && places.some((other) => other.brokerName === via)) continue;
    const request = SyncLiteSubscription.request.encode({
      topic: { name: topic },
      group: { name: group },
      liteTopicSet: [...names],
    });
    const headers = {
      "x-mq-client-id": clientId,
      [hopHeaders.from]: brokerName,
      [hopHeaders.liteLoss]: "1",
    };
    await cluster.notifyNamed(via, clientId, {
      path: SyncLiteSubscription.path,
      request,
      headers,
    });
  }
}
