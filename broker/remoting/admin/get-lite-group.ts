// GetLiteGroup: how far a group is in one lite topic, or in which of them it is farthest behind.
import { brokerAdminService, type cometmq, rocketmq } from "@cometmq/proto";
import { limits, MqError } from "../../../base/index.ts";
import type { MethodHandler } from "../../../transport/index.ts";
import { existingLiteTopic } from "../lite-resources.ts";
import { checkLiteTopic } from "../message-rules.ts";
import { okStatus, unary } from "../unary.ts";
import type { AdminContext } from "./admin-context.ts";
import { groupBoundTo, liteHere } from "./lite-fields.ts";
import { recordAt } from "./record-at.ts";

type Answer = cometmq.v1.IGetLiteGroupResponse;
type Progress = cometmq.v1.ILiteProgress;
type View = ReturnType<typeof liteHere>["view"];
type Standing = ReturnType<View["standingsOf"]>[number];

/** The handler of GetLiteGroup. */
export function getLiteGroup(context: AdminContext): MethodHandler {
  const method = brokerAdminService.methods.GetLiteGroup;
  return unary(method, context.logger, async (request): Promise<Answer> => {
    const { view } = liteHere(context);
    const topic = existingLiteTopic(context, request.topic);
    const group = groupBoundTo(context, request.group, topic.name);
    const place = { topic: topic.name, group: group.name };
    if (request.liteTopic === null || request.liteTopic === "") {
      return await farthestBehind(context, view, { ...place, countMax: readCount(request) });
    }
    checkLiteTopic(request.liteTopic);
    const standings = view.standingsOf(place.topic, place.group, request.liteTopic);
    const places = await shown(context, place.topic, standings, request.liteTopic);
    return {
      status: okStatus,
      lag: standings.reduce((sum, { lag }) => sum + lag, 0),
      pending: standings.reduce((sum, { pending }) => sum + pending, 0),
      places,
    };
  });
}

function readCount({ countMax }: cometmq.v1.GetLiteGroupRequest): number {
  const { liteLagsShownMax, liteLagsShownDefault } = limits;
  if (countMax === 0) return liteLagsShownDefault;
  if (countMax > 0 && countMax <= liteLagsShownMax) return countMax;
  throw new MqError(
    "BAD_REQUEST",
    `${countMax} lite topics may not be asked for: 1 to ${liteLagsShownMax} are allowed`,
  );
}

async function farthestBehind(
  context: AdminContext,
  view: View,
  wish: { readonly topic: string; readonly group: string; readonly countMax: number },
): Promise<Answer> {
  const { topic, group, countMax } = wish;
  const { lag, pending, byLag, byAge } = await view.lagOf(topic, group, countMax);
  const oldest: Progress[] = [];
  // One queue after another, so that no more than one list is read at once.
  for (const standings of byAge) oldest.push(...(await shown(context, topic, standings)));
  oldest.sort((a, b) => (a.oldestMs ?? 0) - (b.oldestMs ?? 0));
  return {
    status: okStatus,
    lag,
    pending,
    byLag: await shown(context, topic, byLag),
    byAge: oldest.slice(0, countMax),
  };
}

/** With the name of each and the time of its oldest message, from that message; without those of which it is gone. */
async function shown(
  { store }: AdminContext,
  topic: string,
  standings: readonly Standing[],
  name?: string,
): Promise<Progress[]> {
  const all = standings.map(async (standing): Promise<Progress[]> => {
    const { queueId, endOffset, nextOffset, pending, lag, oldestOffset } = standing;
    const oldest = await recordAt(store, { topic, queueId, offset: oldestOffset });
    const isBehind = lag > 0 && oldest !== undefined;
    const liteTopic = name ?? (isBehind ? nameIn(oldest.systemProperties) : undefined);
    if (liteTopic === undefined) return [];
    const first = isBehind ? { oldestMs: oldest.storeTimeMs, oldestOffset } : {};
    return [{ liteTopic, queueId, maxOffset: endOffset, nextOffset, pending, lag, ...first }];
  });
  return (await Promise.all(all)).flat();
}

function nameIn(systemProperties: Uint8Array): string {
  return rocketmq.v2.SystemProperties.decode(systemProperties).liteTopic ?? "";
}
