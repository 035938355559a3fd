// Acknowledgements of messages that several brokers have handed out: each gets those of its own, and the results come
// back together, in the order of the request.
import {
  type AckEntryView,
  type AckMessageView,
  type AckResultView,
  messagingService,
} from "@cometmq/proto";
import { MqError, toMqError } from "../../base/index.ts";
import { RpcError, type ServerCall } from "../../transport/index.ts";
import { isPassedOn } from "../cluster/index.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { byOwner, otherOwner } from "./handle-owner.ts";
import { statusOf } from "./unary.ts";

const method = messagingService.methods.AckMessage;

/** A request and how its entries are acknowledged where this broker serves them. */
export interface ScatteredAck {
  readonly request: AckMessageView;
  readonly call: ServerCall;
  readonly here: (parts: LocalParts, entry: AckEntryView) => AckResultView;
}

/** One result for each entry, in order. Throws when another broker passed on what is not served here. */
export async function acknowledgeElsewhere(
  context: RemotingContext,
  ack: ScatteredAck,
): Promise<readonly AckResultView[]> {
  const { entries } = ack.request;
  const byBroker = new Map<string | undefined, number[]>();
  for (const [index, { receiptHandle }] of entries.entries()) {
    const owner = otherOwner(context, receiptHandle);
    const indexes = byBroker.get(owner) ?? [];
    byBroker.set(owner, indexes);
    indexes.push(index);
  }
  const results: AckResultView[] = [];
  const parts = [...byBroker].map(async ([owner, indexes]) => {
    const own = indexes.flatMap((index) => entries[index] ?? []);
    const answers = await acknowledgeAt(context, ack, { owner, entries: own });
    for (const [place, index] of indexes.entries()) {
      const result = answers[place];
      if (result !== undefined) results[index] = result;
    }
  });
  await Promise.all(parts);
  return results;
}

async function acknowledgeAt(
  context: RemotingContext,
  { request, call, here }: ScatteredAck,
  part: { readonly owner: string | undefined; readonly entries: readonly AckEntryView[] },
): Promise<readonly AckResultView[]> {
  const { owner, entries } = part;
  try {
    const passing = { path: method.path, request: encoded(request, entries), topic: request.topic };
    const answer = await byOwner<readonly AckResultView[]>(context, call, {
      owner,
      passing,
      here: (parts) => entries.map((entry) => here(parts, entry)),
    });
    return answer instanceof Uint8Array ? resultsIn(answer, entries) : answer;
  } catch (error) {
    if (isPassedOn(call)) throw error;
    const failure =
      error instanceof RpcError ? new MqError("HA_NOT_AVAILABLE", error.message) : toMqError(error);
    const { code, message } = statusOf(failure);
    return entries.map(({ messageId, receiptHandle }) => ({
      messageId,
      receiptHandle,
      code,
      message,
    }));
  }
}

function encoded(request: AckMessageView, entries: readonly AckEntryView[]): Uint8Array {
  const { groupNamespace, group, topicNamespace, topic } = request;
  return method.request.encode({
    group: { resourceNamespace: groupNamespace, name: group },
    topic: { resourceNamespace: topicNamespace, name: topic },
    entries: entries.map(({ messageId, receiptHandle, liteTopic }) => ({
      messageId,
      receiptHandle,
      ...(liteTopic === undefined ? {} : { liteTopic }),
    })),
  });
}

/** What another broker says of each entry; its status for all where it names none. */
function resultsIn(answer: Uint8Array, entries: readonly AckEntryView[]): readonly AckResultView[] {
  const { status, entries: results } = method.response.decode(answer);
  return entries.map(({ messageId, receiptHandle }, index) => {
    const told = results[index]?.status ?? status;
    return { messageId, receiptHandle, code: told?.code ?? 0, message: told?.message ?? "" };
  });
}
