// The frame of a call that is not on a hot path: decode, act, encode. What goes wrong becomes the status of the
// answer; only what nobody expected is logged, here and once.
import { type Codec, ProtoError, type rocketmq } from "@cometmq/proto";
import { type Logger, MqError, toMqError } from "../../base/index.ts";
import { type MethodHandler, RpcError, type ServerCall } from "../../transport/index.ts";

/** `Status` of an answer. */
export interface StatusFields {
  readonly code: number;
  readonly message: string;
}

/** All went well. */
export const okStatus: StatusFields = { code: 20_000, message: "OK" };

/** The entries of the answer differ: each has its own status. */
export const multipleResults: StatusFields = { code: 30_000, message: "MULTIPLE_RESULTS" };

/** The status that tells a client what `error` says. */
export function statusOf(error: MqError): StatusFields {
  return { code: error.status, message: error.message };
}

/** Turns anything thrown into an MqError; broken bytes are BAD_REQUEST, and what nobody expected is logged. */
export function failureOf(error: unknown, logger: Logger, path: string): MqError {
  if (error instanceof ProtoError || error instanceof RangeError) {
    return new MqError("BAD_REQUEST", `the request cannot be read: ${error.message}`);
  }
  const failure = toMqError(error);
  if (failure.code === "INTERNAL_SERVER_ERROR") {
    logger.error("request failed", {
      path,
      error: failure.message,
      stack: failure.cause instanceof Error ? failure.cause.stack : failure.stack,
    });
  }
  return failure;
}

/** A call of the descriptor tables whose answer has a status. */
export interface UnaryMethod<Request, Answer> {
  readonly path: string;
  readonly request: Pick<Codec<Request, never>, "decode">;
  readonly response: { encode(value: Answer): Uint8Array };
}

/** What every answer has. */
interface WithStatus {
  readonly status?: rocketmq.v2.IStatus | null | undefined;
}

/** Answers a request, whose bytes it may keep; an answer that is encoded already is given on as it is. */
export type Act<Request, Answer> = (
  request: Request,
  call: ServerCall,
  bytes: Uint8Array,
) => Answer | Uint8Array | Promise<Answer | Uint8Array>;

/**
 * The handler of a unary method. `act` may throw; the answer then is the status alone, joined with what `failed`
 * gives for the request.
 */
export function unary<Request, Answer extends WithStatus>(
  method: UnaryMethod<Request, Answer>,
  logger: Logger,
  act: Act<Request, Answer>,
  failed?: (request: Request) => Omit<Answer, "status">,
): MethodHandler {
  return {
    kind: "unary",
    handle: async (bytes, call) => {
      let request: Request | undefined;
      try {
        // A copy: what was decoded may hold views, and `act` may wait.
        const copy = Uint8Array.from(bytes);
        request = method.request.decode(copy);
        const answer = await act(request, call, copy);
        return answer instanceof Uint8Array ? answer : method.response.encode(answer);
      } catch (error) {
        // The transport's own failures stay what they are.
        if (error instanceof RpcError) throw error;
        const status = statusOf(failureOf(error, logger, method.path));
        const rest = request === undefined ? undefined : failed?.(request);
        return method.response.encode({ ...rest, status } as unknown as Answer);
      }
    },
  };
}
