// Who calls: the client that the headers name, also when another broker has passed its call on.
import type { ServerCall } from "../../transport/index.ts";
import { type ClientIdentity, identify } from "../clients/index.ts";
import { hopHeaders, isPassedOn } from "../cluster/index.ts";

/** The client. Throws CLIENT_ID_REQUIRED when the call names none. */
export function callerOf(call: ServerCall): ClientIdentity {
  const identity = identify((name) => call.header(name));
  const address = isPassedOn(call) ? call.header(hopHeaders.clientAddress) : undefined;
  return address === undefined || address.length > addressLengthMax
    ? identity
    : { ...identity, address };
}

const addressLengthMax = 262;
