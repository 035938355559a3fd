// The queues that one member of a group shall read, for consumers that pull. One broker of the topic shares them out, the
// first by name; the others pass the question on, and name the queues as their client can reach them.
import { Code, messagingService, type rocketmq } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import type { RouteQueue } from "../../route/index.ts";
import type { ServerCall } from "../../transport/index.ts";
import { clientTypes, type SharedQueue, type ShareQuestion } from "../clients/index.ts";
import { type Headers, hopHeaders, isPassedOn, type TopicPlace } from "../cluster/index.ts";
import { checkGroupName } from "../metadata/index.ts";
import type { RemotingContext } from "./context.ts";
import { type Passing, passOn } from "./owner.ts";
import { groupFor } from "./resources.ts";
import { assignedQueues, brokerFor } from "./route.ts";
import { okStatus } from "./unary.ts";

const method = messagingService.methods.QueryAssignment;

type Answer = rocketmq.v2.IQueryAssignmentResponse;

/** What a member reads now of the topic that it asks about, as `parseReads` reads it. */
const readsHeader = "x-cometmq-reads";
const readsLengthMax = 8_192;

/** What goes along when the question of a consumer that pulls is passed on. */
export function shareHeaders(call: ServerCall): Headers {
  const reads = call.header(readsHeader);
  const type = { [hopHeaders.clientType]: String(clientTypes.pullConsumer) };
  return reads === undefined ? type : { ...type, [readsHeader]: reads };
}

/** Whether the caller shares queues with the other members of its group. */
export function isPullConsumer(context: RemotingContext, call: ServerCall, id: string): boolean {
  if (context.clients.get(id)?.type === clientTypes.pullConsumer) return true;
  const told = isPassedOn(call) ? call.header(hopHeaders.clientType) : undefined;
  return told === String(clientTypes.pullConsumer);
}

/** A member's question. */
export interface ShareAsking {
  readonly call: ServerCall;
  readonly clientId: string;
  readonly request: rocketmq.v2.QueryAssignmentRequest;
  readonly passing: Passing;
}

/**
 * The share of a member in the queues of `places`; undefined when the broker that gives it cannot be reached. Throws
 * ILLEGAL_CONSUMER_GROUP, CONSUMER_GROUP_NOT_FOUND, and HA_NOT_AVAILABLE when the call has no time to wait for the other
 * members.
 */
export async function queueShare(
  context: RemotingContext,
  asking: ShareAsking,
  places: readonly TopicPlace[],
): Promise<Answer | Uint8Array | undefined> {
  const byName = places.toSorted((a, b) => (a.brokerName < b.brokerName ? -1 : 1));
  const question = { call: asking.call, accessPoint: asking.request.endpoints };
  const queues = byName.flatMap((place) =>
    assignedQueues(place.topic, brokerFor(context, place, question), true),
  );
  const [first] = byName;
  // A broker that is asked by another one answers, whoever it takes for the first.
  const isHere = first === undefined || first.isOwn || isPassedOn(asking.call);
  if (isHere) return answerWith(await shareHere(context, asking, queues));
  const { passing, call } = asking;
  const answer = await passOn(context, call, { address: first.address, passing });
  if (answer === undefined) return undefined;
  const { status, assignments } = method.response.decode(answer);
  if (status?.code !== Code.OK) return answer;
  const given = new Set(assignments.map(({ messageQueue }) => nameOf(messageQueue ?? {})));
  return answerWith(queues.filter((queue) => given.has(nameOf(queue))));
}

async function shareHere(
  context: RemotingContext,
  { call, clientId, request }: ShareAsking,
  queues: readonly RouteQueue[],
): Promise<readonly RouteQueue[]> {
  const group = request.group?.name ?? "";
  const local = context.local();
  if (local?.metadata.group(group) === undefined) {
    checkGroupName(group);
    if (local?.canSend === true) {
      const needs = { config: context.config, metadata: local.metadata };
      await groupFor(needs, group, [request.topic?.name ?? ""]);
    }
  }
  const { shares } = context.clients;
  const names = queues.map(({ broker, id }) => ({ brokerName: broker.name, queueId: id }));
  const reads = parseReads(call.header(readsHeader), names);
  const question: ShareQuestion = { group, topic: request.topic?.name ?? "", clientId, reads };
  await othersHaveAsked(context, call, shares.join(question));
  if (call.signal.aborted) return [];
  const given = new Set(
    shares.take(question, names).map(({ brokerName, queueId }) => `${brokerName}/${queueId}`),
  );
  return queues.filter((queue) => given.has(nameOf(queue)));
}

async function othersHaveAsked(
  context: RemotingContext,
  call: ServerCall,
  waitMs: number,
): Promise<void> {
  if (waitMs === 0) return;
  if (call.remainingMs() < waitMs + limits.answerHeadroomMs) {
    throw new MqError(
      "HA_NOT_AVAILABLE",
      `the members of the group are being gathered for another ${Math.ceil(waitMs)} ms: ask again`,
    );
  }
  await new Promise<void>((resolve) => {
    context.clock.after(waitMs, resolve, { unref: true });
  });
}

/**
 * Those of `queues` that a header names: `broker:0-3,7;other:1`, broker names percent-encoded. Undefined without a header
 * that can be read.
 */
function parseReads(
  header: string | undefined,
  queues: readonly SharedQueue[],
): readonly SharedQueue[] | undefined {
  if (header === undefined || header.length > readsLengthMax) return undefined;
  const ranges: { readonly brokerName: string; readonly from: number; readonly to: number }[] = [];
  for (const part of header.split(";").filter((text) => text !== "")) {
    const [, name, ids] = /^([^:]+):([\d,-]+)$/.exec(part) ?? [];
    if (name === undefined || ids === undefined) return undefined;
    for (const range of ids.split(",")) {
      const [from = Number.NaN, to = from] = range.split("-").map(Number);
      ranges.push({ brokerName: decoded(name), from, to });
    }
  }
  return queues.filter(({ brokerName, queueId }) =>
    ranges.some((one) => one.brokerName === brokerName && queueId >= one.from && queueId <= one.to),
  );
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function answerWith(queues: readonly RouteQueue[]): Answer {
  return { status: okStatus, assignments: queues.map((messageQueue) => ({ messageQueue })) };
}

function nameOf({ broker, id }: rocketmq.v2.IMessageQueue): string {
  return `${broker?.name ?? ""}/${id ?? 0}`;
}
