// CloneGroupOffset: a group goes on where another one is on a topic. From the oldest message that the other one has not
// acknowledged, so that none of them is missed.
import { brokerAdminService } from "@cometmq/proto";
import { MqError } from "../../../base/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import { existingGroup, existingTopic, groupFor, masterHere } from "../resources.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { setOffsets } from "./offset-changes.ts";

/** The handler of CloneGroupOffset. */
export function cloneGroupOffset(context: AdminContext): MethodHandler {
  const method = brokerAdminService.methods.CloneGroupOffset;
  return unary(method, context.logger, async (request) => {
    const { delivery, metadata } = masterHere(context);
    const needs = { config: context.config, metadata };
    const topic = existingTopic(needs, request.topic).name;
    const source = existingGroup(needs, request.sourceGroup).name;
    if (source === request.targetGroup) {
      throw new MqError("BAD_REQUEST", `the group ${source} cannot be cloned to itself`);
    }
    const target = (await groupFor(needs, request.targetGroup, [topic])).name;
    const lanes = context.delivery.progress(source).filter((lane) => lane.topic === topic);
    if (lanes.length === 0) {
      throw new MqError("OFFSET_NOT_FOUND", `the group ${source} has no offset on topic ${topic}`);
    }
    const wanted = lanes.map(({ queueId, doneOffset, minOffset, endOffset }) => ({
      place: { group: target, topic, queueId },
      offset: Math.min(Math.max(doneOffset, minOffset), endOffset),
    }));
    const queues = await setOffsets(delivery.offsets, wanted, { onlyBack: false });
    return { status: okStatus, queues };
  });
}
