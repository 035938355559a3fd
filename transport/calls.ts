// The calls that we make, as their callers see them: a promise of one answer, or the messages of a stream.
import type { DialledCall, OutgoingCall } from "./dialled-call.ts";
import type { DialledConnection } from "./dialled-connection.ts";
import { Inbox } from "./inbox.ts";
import { GrpcStatus, RpcError, statusOf } from "./status.ts";

/** What a caller says of its call. */
export interface CallOptions
  extends Pick<OutgoingCall, "path" | "headers" | "request" | "timeoutMs"> {
  /** Ends the call with CANCELLED when it is aborted. */
  readonly signal: AbortSignal;
}

/** Makes a unary call and gives its answer. Rejects RpcError. */
export function callUnary(
  connection: DialledConnection,
  options: CallOptions,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let answer: Uint8Array | undefined;
    begin(connection, options, {
      isOpenEnded: false,
      onMessage: (bytes) => {
        answer = bytes;
      },
      onEnd: (status, message) => {
        if (status !== GrpcStatus.ok) reject(new RpcError(statusOf(status), message));
        else if (answer !== undefined) resolve(answer);
        else reject(new RpcError(GrpcStatus.internal, "the answer has no message"));
      },
    });
  });
}

/**
 * Makes a call that is answered with a stream, and gives its messages; the bytes are the reader's. Throws RpcError when
 * the call fails. With `isOpenEnded` the request's side stays open, as a call with streams both ways needs it. A reader
 * that leaves early ends the call.
 */
export async function* callStream(
  connection: DialledConnection,
  options: CallOptions & { readonly isOpenEnded?: boolean },
): AsyncGenerator<Uint8Array, void, void> {
  let failure: RpcError | undefined;
  let call: DialledCall | undefined;
  const inbox = new Inbox({
    inflate: (message) => Promise.resolve(message.bytes),
    onRead: () => call?.unread(inbox.size),
  });
  call = begin(connection, options, {
    isOpenEnded: options.isOpenEnded ?? false,
    onMessage: (bytes) => {
      inbox.push({ bytes, compressed: false });
      call?.unread(inbox.size);
    },
    onEnd: (status, message) => {
      if (status !== GrpcStatus.ok) failure = new RpcError(statusOf(status), message);
      inbox.end();
    },
  });
  try {
    yield* inbox;
  } finally {
    call.cancel();
  }
  if (failure !== undefined) throw failure;
}

/** Begins a call that its signal ends. */
function begin(
  connection: DialledConnection,
  options: CallOptions,
  answer: Pick<OutgoingCall, "isOpenEnded" | "onMessage" | "onEnd">,
): DialledCall {
  const { path, headers, request, timeoutMs, signal } = options;
  let call: DialledCall | undefined;
  const cancel = (): void => call?.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  const onEnd: OutgoingCall["onEnd"] = (status, message) => {
    signal.removeEventListener("abort", cancel);
    answer.onEnd(status, message);
  };
  call = connection.call({ path, headers, request, timeoutMs, ...answer, onEnd });
  if (signal.aborted) call.cancel();
  return call;
}
