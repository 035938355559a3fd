// What a client hears when a handler throws.
import { AssertionError, background, type Logger, MqError } from "../base/index.ts";
import { GrpcStatus, RpcError, statusOf } from "./status.ts";

/**
 * The status for what a handler threw. What no handler means to throw is logged here, once, and hidden from the
 * client; a broken invariant also ends the process.
 */
export function failureOf(error: unknown, path: string, logger: Logger): RpcError {
  if (error instanceof RpcError) return error;
  if (error instanceof MqError) {
    return new RpcError(statusOf(error.grpcStatus), error.message, { cause: error });
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  logger.error("a call failed unexpectedly", { path, error: text });
  if (error instanceof AssertionError) background(rethrown(error));
  return new RpcError(GrpcStatus.internal, "internal error: see the server's log");
}

async function rethrown(error: Error): Promise<never> {
  throw error;
}
