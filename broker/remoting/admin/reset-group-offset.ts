// ResetGroupOffset: sets a group's offsets on a topic, to an offset, a moment or the end. What is pending there ends.
import { brokerAdminService, type cometmq } from "@cometmq/proto";
import { MqError } from "../../../base/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import type { OffsetReset } from "../../delivery/index.ts";
import type { TopicConfig } from "../../metadata/index.ts";
import type { LocalParts } from "../context.ts";
import { existingGroup, existingTopic, masterHere } from "../resources.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { setOffsets } from "./offset-changes.ts";

type Request = cometmq.v1.ResetGroupOffsetRequest;

/** The handler of ResetGroupOffset. */
export function resetGroupOffset(context: AdminContext): MethodHandler {
  const method = brokerAdminService.methods.ResetGroupOffset;
  return unary(method, context.logger, async (request) => {
    const { delivery, metadata } = masterHere(context);
    const needs = { config: context.config, metadata };
    const topic = existingTopic(needs, request.topic);
    const group = existingGroup(needs, request.group).name;
    const find = (queueId: number): Promise<number> | number =>
      offsetFor(delivery.offsets, { topic: topic.name, queueId }, request);
    // Looked up first, so that all are set at once.
    const wanted: OffsetReset[] = await Promise.all(
      queueIds(topic, request).map(async (queueId) => ({
        place: { group, topic: topic.name, queueId },
        offset: await find(queueId),
      })),
    );
    const queues = await setOffsets(delivery.offsets, wanted, { onlyBack: request.onlyBack });
    return { status: okStatus, queues };
  });
}

function queueIds(topic: TopicConfig, { queueId }: Request): number[] {
  if (queueId === null) return Array.from({ length: topic.readQueueNums }, (_unused, id) => id);
  if (queueId >= 0 && queueId < topic.readQueueNums) return [queueId];
  throw new MqError(
    "BAD_REQUEST",
    `topic ${topic.name} has no queue ${queueId}: its readable queues are 0 to ${topic.readQueueNums - 1}`,
  );
}

function offsetFor(
  offsets: LocalParts["delivery"]["offsets"],
  place: { readonly topic: string; readonly queueId: number },
  { target, offset, timeMs }: Request,
): Promise<number> | number {
  if (target === "offset") return offset ?? 0;
  if (target === "timeMs") return offsets.atTime(place, timeMs ?? 0);
  if (target === "end") return offsets.bounds(place).endOffset;
  throw new MqError("BAD_REQUEST", "the request says no offset, no time and not the end");
}
