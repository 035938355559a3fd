// Finds who serves what a call is about, and passes the call on when that is another broker: one hop, no more. While
// no master is known the call waits a moment for one, so that a change of masters loses nothing.
import { limits, MqError } from "../../base/index.ts";
import { GrpcStatus, RpcError, type ServerCall } from "../../transport/index.ts";
import {
  type Forward,
  ForwardFailure,
  type Headers,
  isPassedOn,
  passedHeaders,
} from "../cluster/index.ts";
import type { RemotingContext } from "./context.ts";

type Needs = Pick<RemotingContext, "config" | "cluster">;

/** A call to pass on, but for where to. */
export interface Passing {
  readonly path: string;
  /** A copy: it must outlive the handler's first wait. */
  readonly request: Uint8Array;
  /** What the call is about: what is known of it is asked for anew when it has misled. */
  readonly topic?: string;
  readonly brokerName?: string;
  readonly headers?: Headers;
}

/** Where a call goes. */
export interface Hop {
  /** `host:port` of the other broker. */
  readonly address: string;
  readonly passing: Passing;
}

/** What the forwarder needs to pass `call` on. */
export function forwardOf(context: Needs, call: ServerCall, hop: Hop): Forward {
  const { address, passing } = hop;
  const clientId = call.header("x-mq-client-id") ?? "";
  context.cluster.passengers.note(clientId, address);
  return {
    address,
    path: passing.path,
    request: passing.request,
    headers: { ...passedHeaders(call, context.config.values.brokerName), ...passing.headers },
    clientId,
    remainingMs: call.remainingMs(),
    signal: call.signal,
  };
}

/**
 * Passes a unary call on; undefined when that broker does not serve it or cannot be reached, which says that another
 * one should be looked for.
 */
export async function passOn(
  context: Needs,
  call: ServerCall,
  hop: Hop,
): Promise<Uint8Array | undefined> {
  const { forwarder, view } = context.cluster;
  try {
    return await forwarder.unary(forwardOf(context, call, hop));
  } catch (error) {
    if (!isElsewhere(error)) throw asAnswered(error);
    view.doubt(hop.passing);
    return undefined;
  }
}

/** Whether `error` says that another broker should be looked for. */
export function isElsewhere(error: unknown): boolean {
  if (!(error instanceof ForwardFailure)) return false;
  return error.outcome === "refused" || error.outcome === "unreachable";
}

/** A failure of a call that was passed on, as its client shall see it. */
export function asAnswered(error: unknown): unknown {
  if (!(error instanceof ForwardFailure)) return error;
  return new RpcError(error.grpcStatus, error.message, { cause: error });
}

/**
 * Tries until `attempt` gives something, at most `masterWaitMs` and not beyond the call's deadline. A call that another
 * broker has passed on is tried once and then refused, so that its sender looks elsewhere. Throws HA_NOT_AVAILABLE.
 */
export async function untilServed<Result>(
  context: Pick<RemotingContext, "clock" | "cluster"> & { isStopping(): boolean },
  call: ServerCall,
  attempt: () => Promise<Result | undefined>,
): Promise<Result> {
  const { clock, cluster } = context;
  const startMs = clock.monotonicMs();
  for (;;) {
    const result = await attempt();
    if (result !== undefined) return result;
    if (isPassedOn(call)) throw notServedHere();
    const waitedMs = clock.monotonicMs() - startMs;
    const isLate = call.remainingMs() < limits.answerHeadroomMs + limits.masterLookMs;
    if (waitedMs >= limits.masterWaitMs || isLate || call.signal.aborted || context.isStopping()) {
      throw new MqError(
        "HA_NOT_AVAILABLE",
        `no broker that could serve this is there now; waited ${Math.round(waitedMs)} ms`,
      );
    }
    await cluster.soon();
  }
}

/** What a broker is told that has passed a call on to one that does not serve it. */
export function notServedHere(): RpcError {
  const { failedPrecondition } = GrpcStatus;
  return new RpcError(failedPrecondition, "NOT_MASTER: this broker does not serve it now");
}
