// Calls that are part of the protocol and that this version answers with a status that says so.
import { messagingService } from "@cometmq/proto";
import { MqError } from "../../base/index.ts";
import type { MethodHandler } from "../../transport/index.ts";
import { statusOf } from "./unary.ts";

const { methods } = messagingService;

const unaryMethods = [methods.SyncLiteSubscription] as const;

/** Handlers of the calls that are not served, by path. */
export function notYet(): Map<string, MethodHandler> {
  const handlers = new Map<string, MethodHandler>();
  for (const { path, response } of unaryMethods) {
    const answer = response.encode({ status: refusal(path) });
    handlers.set(path, { kind: "unary", handle: () => answer });
  }
  return handlers;
}

function refusal(path: string): { code: number; message: string } {
  const name = path.slice(path.lastIndexOf("/") + 1);
  return statusOf(
    new MqError("NOT_IMPLEMENTED", `${name} is not supported by this version of the server`),
  );
}
