// QueryAssignment: which queues a consumer shall ask for, on all brokers of the cluster. Who receives gets all of them:
// the server shares messages out. Who pulls gets its share (queue-share.ts).
import { Code, messagingService, type rocketmq } from "@cometmq/proto";
import type { MethodHandler } from "../../transport/index.ts";
import type { TopicPlace } from "../cluster/index.ts";
import { callerOf } from "./caller.ts";
import type { RemotingContext } from "./context.ts";
import { passOn, untilServed } from "./owner.ts";
import { isPullConsumer, queueShare, type ShareAsking, shareHeaders } from "./queue-share.ts";
import { groupFor, requireReadable } from "./resources.ts";
import { assignedQueues, brokerFor, placesFor } from "./route.ts";
import { okStatus, unary } from "./unary.ts";

const method = messagingService.methods.QueryAssignment;

type Request = rocketmq.v2.QueryAssignmentRequest;
type Answer = rocketmq.v2.IQueryAssignmentResponse;

/** The handler of QueryAssignment. */
export function queryAssignment(context: RemotingContext): MethodHandler {
  return unary<Request, Answer>(method, context.logger, (request, call, bytes) => {
    const { id: clientId } = callerOf(call);
    const topic = request.topic?.name ?? "";
    const isPull = isPullConsumer(context, call, clientId);
    const headers = isPull ? shareHeaders(call) : {};
    const passing = { path: method.path, request: bytes, topic, headers };
    return untilServed<Answer | Uint8Array>(context, call, () =>
      assign(context, { request, call, passing, clientId, isPull }),
    );
  });
}

interface Asking extends ShareAsking {
  readonly isPull: boolean;
}

async function assign(
  context: RemotingContext,
  asking: Asking,
): Promise<Answer | Uint8Array | undefined> {
  const { request, call, passing } = asking;
  const places = await placesFor(context, passing.topic ?? "");
  if (places === undefined) {
    const address = await context.cluster.view.ownMaster();
    return address === undefined ? undefined : await passOn(context, call, { address, passing });
  }
  const readable = places.filter(({ topic }) => (topic.perm & readBit) !== 0);
  const [first] = places;
  if (first !== undefined && readable.length === 0) requireReadable(first.topic);
  if (asking.isPull) return await queueShare(context, asking, readable);
  const ordered = await isOrdered(context, asking, readable);
  if (ordered === undefined || ordered instanceof Uint8Array) return ordered;
  const question = { call, accessPoint: request.endpoints };
  const queues = readable.flatMap((place) => {
    // A receive of lite topics is of all queues, whichever it names.
    const isByQueue = ordered && place.topic.messageType !== "LITE";
    return assignedQueues(place.topic, brokerFor(context, place, question), isByQueue);
  });
  return { status: okStatus, assignments: queues.map((messageQueue) => ({ messageQueue })) };
}

/**
 * Whether the group consumes in order. What this broker cannot tell it takes from the assignments that a broker of the
 * topic makes; a refusal of that one is the answer.
 */
async function isOrdered(
  context: RemotingContext,
  { request, call, passing }: Asking,
  places: readonly TopicPlace[],
): Promise<boolean | Uint8Array | undefined> {
  const local = context.local();
  const name = request.group?.name ?? "";
  const known = local?.metadata.group(name);
  if (known !== undefined) return known.consumeMessageOrderly;
  if (local?.canSend === true) {
    const needs = { config: context.config, metadata: local.metadata };
    const group = await groupFor(needs, name, [passing.topic ?? ""]);
    return group.consumeMessageOrderly;
  }
  for (const { address, isOwn } of places) {
    if (isOwn) continue;
    const answer = await passOn(context, call, { address, passing });
    if (answer === undefined) continue;
    const { status, assignments } = method.response.decode(answer);
    if (status?.code !== Code.OK) return answer;
    return assignments.some(({ messageQueue }) => (messageQueue?.id ?? -1) >= 0);
  }
  return undefined;
}

const readBit = 4;
