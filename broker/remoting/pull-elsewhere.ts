// A pull of a queue that another broker holds: it is passed on, held there, and ended there when the client ends it here.
import { messagingService } from "@cometmq/proto";
import type { ServerStream } from "../../transport/index.ts";
import { ForwardFailure, isPassedOn } from "../cluster/index.ts";
import { checkTopicName } from "../metadata/index.ts";
import type { RemotingContext } from "./context.ts";
import { asAnswered, forwardOf, isElsewhere, untilServed } from "./owner.ts";
import { hereAddress, isQueueHere, type OwnedQueue, queueAddress } from "./queue-owner.ts";

const { path } = messagingService.methods.PullMessage;

/** How it ended: to be served here after all, written and finished, or to be answered as empty. */
export type PullEnd = "here" | "done" | "empty";

/**
 * Passes a pull on to who holds `queue`; `request` outlives the handler's first wait. Throws ILLEGAL_TOPIC,
 * HA_NOT_AVAILABLE, and what ends a call.
 */
export function pullElsewhere(
  context: RemotingContext,
  stream: ServerStream,
  wanted: { readonly queue: OwnedQueue; readonly request: Uint8Array },
): Promise<PullEnd> {
  const { queue, request } = wanted;
  checkTopicName(queue.topic);
  return untilServed<PullEnd>(context, stream, async () => {
    if (context.isStopping()) return "empty";
    if (isQueueHere(context, queue, stream)) return "here";
    if (isPassedOn(stream)) return undefined;
    const address = await queueAddress(context, queue);
    if (address === hereAddress) return "here";
    if (address === undefined) return undefined;
    return await pass(context, stream, { address, passing: { path, request, ...queue } });
  });
}

async function pass(
  context: RemotingContext,
  stream: ServerStream,
  hop: Parameters<typeof forwardOf>[2],
): Promise<PullEnd | undefined> {
  const { forwarder, view } = context.cluster;
  const written = { any: false };
  const sink = {
    write: (message: Uint8Array): boolean => {
      written.any = true;
      return stream.write(message);
    },
    drained: () => stream.drained(),
  };
  try {
    await forwarder.stream(forwardOf(context, stream, hop), sink);
    await stream.finish();
    return "done";
  } catch (error) {
    if (written.any) throw asAnswered(error);
    if (error instanceof ForwardFailure && error.outcome === "ended") return "empty";
    if (!isElsewhere(error)) throw asAnswered(error);
    view.doubt(hop.passing);
    return undefined;
  }
}
