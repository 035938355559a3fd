// SyncLiteSubscription: a consumer of lite topics says which of them it wants. Some clients say it to each broker of the
// topic, others to their access point alone: that one tells the others.
import { Code, messagingService, rocketmq } from "@cometmq/proto";
import { limits, MqError } from "../../base/index.ts";
import type { MethodHandler, ServerCall } from "../../transport/index.ts";
import { clientTypes, isLiteConsumer, tellsAllBrokers } from "../clients/index.ts";
import { hopHeaders, isPassedOn, passedOnBy } from "../cluster/index.ts";
import type { LiteChange, LiteStart } from "../delivery/index.ts";
import {
  checkTopicName,
  liteClientQuotaKey,
  liteModelKey,
  liteResetExclusiveKey,
  liteResetUnsubscribeKey,
} from "../metadata/index.ts";
import { callerOf } from "./caller.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { isLossNotice, tellHere, tellLosses } from "./lite-losses.ts";
import { boundGroup, existingLiteTopic } from "./lite-resources.ts";
import { checkLiteTopic } from "./message-rules.ts";
import { type Passing, passOn, untilServed } from "./owner.ts";
import { okStatus, unary } from "./unary.ts";

const method = messagingService.methods.SyncLiteSubscription;
const { LiteSubscriptionAction, OffsetOption } = rocketmq.v2;

type Request = rocketmq.v2.SyncLiteSubscriptionRequest;
type Answer = rocketmq.v2.ISyncLiteSubscriptionResponse;

const changes: Readonly<Record<number, LiteChange>> = {
  [LiteSubscriptionAction.PARTIAL_ADD]: "add",
  [LiteSubscriptionAction.PARTIAL_REMOVE]: "remove",
  [LiteSubscriptionAction.COMPLETE_ADD]: "set",
  [LiteSubscriptionAction.COMPLETE_REMOVE]: "leave",
};

/** What a client says, checked as far as that needs no topic or group. */
interface Wish {
  readonly topic: string;
  readonly group: string;
  readonly change: LiteChange;
  readonly names: readonly string[];
  readonly start: LiteStart | undefined;
  readonly version: number | undefined;
}

/** The handler of SyncLiteSubscription. */
export function syncLiteSubscription(context: RemotingContext): MethodHandler {
  return unary<Request, Answer>(method, context.logger, async (request, call, bytes) => {
    const identity = callerOf(call);
    const wish = readWish(request);
    if (isLossNotice(call)) {
      tellHere(
        context,
        wish.names.map((name) => ({ clientId: identity.id, name })),
      );
      return { status: okStatus };
    }
    const client = context.clients.seen(identity, call.connection);
    client.passedOnBy = passedOnBy(call);
    if (client.type === 0) client.type = typeOf(call);
    if (!isLiteConsumer(client.type)) {
      throw new MqError(
        "BAD_REQUEST",
        `the client is of type ${client.type}; lite topics are for lite push consumers (5) and lite simple consumers (6)`,
      );
    }
    const here = (parts: LocalParts): Promise<Answer> => syncHere(context, parts, { wish, call });
    const parts = context.local();
    const isHere = parts?.metadata.topic(wish.topic) !== undefined;
    // Told twice, a start would be taken twice.
    if (isHere && tellsAllBrokers(identity.language)) return await here(parts);
    const headers = { [hopHeaders.clientType]: String(client.type) };
    const passing = { path: method.path, request: bytes, topic: wish.topic, headers };
    return await untilServed<Answer | Uint8Array>(context, call, () =>
      everywhere(context, call, { passing, here }),
    );
  });
}

/** All brokers of the topic take it; the answer is the first that is not OK. Undefined while none can be reached. */
async function everywhere(
  context: RemotingContext,
  call: ServerCall,
  task: { readonly passing: Passing; readonly here: (parts: LocalParts) => Promise<Answer> },
): Promise<Answer | Uint8Array | undefined> {
  const parts = context.local();
  if (isPassedOn(call) || context.cluster.view.isAlone) return parts && (await task.here(parts));
  const places = await context.cluster.view.topic(task.passing.topic ?? "");
  const own = context.local();
  const answers = await Promise.all(
    places.map(async ({ address, isOwn }) =>
      isOwn
        ? own && (await task.here(own))
        : await passOn(context, call, { address, passing: task.passing }),
    ),
  );
  // Nobody has the topic: this broker says so.
  if (places.length === 0) return own && (await task.here(own));
  const given = answers.filter((answer) => answer !== undefined);
  const refused = given.find((answer) => {
    const { status } = answer instanceof Uint8Array ? method.response.decode(answer) : answer;
    return status?.code !== Code.OK;
  });
  return refused ?? given[0];
}

async function syncHere(
  context: RemotingContext,
  parts: LocalParts,
  { wish, call }: { readonly wish: Wish; readonly call: ServerCall },
): Promise<Answer> {
  const { config, clients } = context;
  const needs = { config, metadata: parts.metadata, canSend: parts.canSend };
  const topic = existingLiteTopic(needs, wish.topic);
  const group = await boundGroup(needs, wish.group, topic.name);
  const { id } = callerOf(call);
  // It may have said goodbye while the group was made.
  if (clients.get(id) === undefined) return { status: okStatus };
  clients.join(id, group.name);
  const { attributes } = group;
  const losses = await parts.delivery.lite.sync({
    group,
    topic,
    clientId: id,
    change: wish.change,
    names: wish.names,
    start: wish.start,
    version: wish.version,
    isExclusive: attributes[liteModelKey] === "Exclusive",
    beginsAnewWhenTaken: attributes[liteResetExclusiveKey] === "true",
    beginsAnewWhenRemoved: attributes[liteResetUnsubscribeKey] === "true",
    clientMax: Number(attributes[liteClientQuotaKey] ?? limits.liteClientQuotaDefault),
    countMax: config.values.maxLiteSubscriptionCount,
  });
  tellLosses(context, { topic: topic.name, group: group.name }, losses);
  return { status: okStatus };
}

function readWish(request: Request): Wish {
  const topic = request.topic?.name ?? "";
  checkTopicName(topic);
  const change = changes[request.action];
  if (change === undefined) {
    throw new MqError(
      "BAD_REQUEST",
      `${request.action} is no action: PARTIAL_ADD is 0, PARTIAL_REMOVE 1, COMPLETE_ADD 2, COMPLETE_REMOVE 3`,
    );
  }
  const names = request.liteTopicSet;
  if (names.length > limits.liteTopicsPerSyncMax) {
    throw new MqError(
      "BAD_REQUEST",
      `the request names ${names.length} lite topics, at most ${limits.liteTopicsPerSyncMax} are allowed`,
    );
  }
  names.forEach(checkLiteTopic);
  return {
    topic,
    group: request.group?.name ?? "",
    change,
    names,
    start: readStart(request.offsetOption),
    version: request.version ?? undefined,
  };
}

function readStart(option: rocketmq.v2.IOffsetOption | null | undefined): LiteStart | undefined {
  if (!option) return undefined;
  const { policy, offset, tailN, timestamp } = option;
  if (typeof offset === "number") return { from: "offset", value: notNegative("offset", offset) };
  if (typeof tailN === "number") return { from: "tail", value: notNegative("tail_n", tailN) };
  if (typeof timestamp === "number") {
    return { from: "time", value: notNegative("timestamp", timestamp) };
  }
  if (policy === OffsetOption.Policy.MIN) return { from: "first" };
  if (policy === OffsetOption.Policy.MAX) return { from: "end" };
  if (typeof policy !== "number" || policy === OffsetOption.Policy.LAST) return undefined;
  throw new MqError(
    "BAD_REQUEST",
    `${policy} is no policy of an offset option: LAST is 0, MIN 1, MAX 2`,
  );
}

function notNegative(field: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new MqError(
    "ILLEGAL_OFFSET",
    `${field} of the offset option may not be ${value}: 0 and more are allowed`,
  );
}

/** Some clients subscribe before their settings have come, and after a restart none has sent them. */
function typeOf(call: ServerCall): number {
  const told = isPassedOn(call) ? Number(call.header(hopHeaders.clientType)) : 0;
  return isLiteConsumer(told) ? told : clientTypes.liteSimpleConsumer;
}
