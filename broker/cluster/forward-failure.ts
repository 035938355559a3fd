// Why a call that was passed on brought no answer of its owner.
import { GrpcStatus, RpcError } from "../../transport/index.ts";

/** What is known of a call that failed. */
export type ForwardOutcome =
  /** The other broker does not serve it: nothing was done. */
  | "refused"
  /** No connection, or it broke: what was done is not known. */
  | "unreachable"
  /** Over by its deadline or by its client. */
  | "ended"
  /** The other broker's transport refused it: `grpcStatus` says how. */
  | "failed";

/** A call that brought no answer. */
export class ForwardFailure extends Error {
  override readonly name = "ForwardFailure";
  readonly outcome: ForwardOutcome;
  readonly grpcStatus: GrpcStatus;

  constructor(outcome: ForwardOutcome, grpcStatus: GrpcStatus, message: string) {
    super(message);
    this.outcome = outcome;
    this.grpcStatus = grpcStatus;
  }
}

/** The failure of a call to `address`. */
export function forwardFailure(error: unknown, address: string): ForwardFailure {
  const code = error instanceof RpcError ? error.status : GrpcStatus.unknown;
  const message = `broker ${address}: ${error instanceof Error ? error.message : String(error)}`;
  if (code === GrpcStatus.failedPrecondition) return new ForwardFailure("refused", code, message);
  if (code === GrpcStatus.unavailable) return new ForwardFailure("unreachable", code, message);
  if (code === GrpcStatus.cancelled || code === GrpcStatus.deadlineExceeded) {
    return new ForwardFailure("ended", code, message);
  }
  return new ForwardFailure("failed", code, message);
}
