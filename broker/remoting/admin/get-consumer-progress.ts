// GetConsumerProgress: how far groups are on the queues they consume.
import { brokerAdminService, type cometmq } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import type { LaneProgress } from "../../delivery/index.ts";
import { existingGroup } from "../resources.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { storeTimeAt } from "./record-at.ts";

/** The handler of GetConsumerProgress. */
export function getConsumerProgress(context: AdminContext): MethodHandler {
  const method = brokerAdminService.methods.GetConsumerProgress;
  return unary(method, context.logger, async (request) => {
    const { metadata, delivery } = context;
    const asked = request.group ?? "";
    const all = [...metadata.groups()].map(({ name }) => name).sort();
    const groups = asked === "" ? all : [existingGroup(context, asked).name];
    const queues: cometmq.v1.IQueueProgress[] = [];
    for (const group of groups) {
      const lanes = delivery
        .progress(group)
        .filter(({ topic }) => (request.topic ?? "") === "" || topic === request.topic);
      queues.push(...(await Promise.all(lanes.map((lane) => progressRow(context, group, lane)))));
    }
    return { status: okStatus, queues };
  });
}

async function progressRow(
  context: AdminContext,
  group: string,
  lane: LaneProgress,
): Promise<cometmq.v1.IQueueProgress> {
  const { topic, queueId } = lane;
  const members = context.clients.consumers(group);
  const readers = members.filter(({ subscriptions }) =>
    subscriptions.some((subscription) => subscription.topic === topic),
  );
  return {
    group,
    topic,
    queueId,
    minOffset: lane.minOffset,
    maxOffset: lane.endOffset,
    cursor: lane.cursor,
    pending: lane.pendingCount,
    lag: lane.lag + lane.pendingCount,
    // The newest message that is done, as far as nothing before it is pending.
    lastConsumeMs: await storeTimeAt(context.store, {
      topic,
      queueId,
      offset: lane.doneOffset - 1,
    }),
    clientIds: readers.map(({ clientId }) => clientId),
  };
}
