// ResetGroupOffset: sets a group's offsets on a topic, to an offset, a moment or the end. What is pending there ends.
import { brokerAdminService, type cometmq } from "@cometmq/proto";
import { MqError } from "../../../base/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import type { OffsetReset } from "../../delivery/index.ts";
import { deliveredQueueNums, type TopicConfig } from "../../metadata/index.ts";
import type { LocalParts } from "../context.ts";
import { existingGroup, existingTopic, masterHere } from "../resources.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { setOffsets } from "./offset-changes.ts";
import { queueIdsOf } from "./queue-ids.ts";

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
      queueIds(topic, request, context.store).map(async (queueId) => ({
        place: { group, topic: topic.name, queueId },
        offset: await find(queueId),
      })),
    );
    const queues = await setOffsets(delivery.offsets, wanted, { onlyBack: request.onlyBack });
    return { status: okStatus, queues };
  });
}

function queueIds(
  topic: TopicConfig,
  { queueId }: Request,
  store: AdminContext["store"],
): readonly number[] {
  if (queueId === null) return queueIdsOf(topic, topic.readQueueNums, store);
  const count = deliveredQueueNums(topic);
  if (queueId >= 0 && queueId < count) return [queueId];
  throw new MqError(
    "BAD_REQUEST",
    `topic ${topic.name} has no queue ${queueId}: its readable queues are 0 to ${count - 1}`,
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
