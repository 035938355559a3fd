// Calls that carry a receipt handle belong to the broker that has made it: its name stands in the handle.
import type { ServerCall } from "../../transport/index.ts";
import { isPassedOn } from "../cluster/index.ts";
import { handleBroker } from "../delivery/index.ts";
import type { LocalParts, RemotingContext } from "./context.ts";
import { notServedHere, type Passing, passOn, untilServed } from "./owner.ts";

/**
 * The other broker name whose handle this is; undefined: this broker's, or no handle at all. `brokerOf` reads the name
 * in it, as receipt handles have it by default.
 */
export function otherOwner(
  context: RemotingContext,
  handle: string,
  brokerOf: (handle: string) => string | undefined = handleBroker,
): string | undefined {
  if (context.cluster.view.isAlone) return undefined;
  const owner = brokerOf(handle);
  return owner === context.config.values.brokerName ? undefined : owner;
}

/**
 * Lets who serves `owner`, this broker name when undefined, answer the call: this broker through `here`, or another.
 * Throws HA_NOT_AVAILABLE when nobody serves it in time.
 */
export function byOwner<Answer>(
  context: RemotingContext,
  call: ServerCall,
  task: {
    readonly owner: string | undefined;
    readonly passing: Passing;
    /** Undefined: these parts do not serve it. */
    readonly here: (parts: LocalParts) => Promise<Answer> | Answer | undefined;
  },
): Promise<Answer | Uint8Array> {
  const { owner, passing } = task;
  return untilServed(context, call, async () => {
    if (owner === undefined) {
      const parts = context.local();
      if (parts !== undefined) return await task.here(parts);
    }
    if (isPassedOn(call)) throw notServedHere();
    const address = await addressOf(context, owner, passing.topic ?? "");
    return address === undefined ? undefined : await passOn(context, call, { address, passing });
  });
}

async function addressOf(
  { cluster }: RemotingContext,
  owner: string | undefined,
  topic: string,
): Promise<string | undefined> {
  if (owner === undefined) return await cluster.view.ownMaster();
  const places = await cluster.view.knownTopic(topic);
  const place = places.find(({ brokerName }) => brokerName === owner);
  return (place ?? (await cluster.view.broker(owner)))?.address;
}
