// Listening to AbortSignals that outlive many operations. Each signal gets one real listener, which serves
// all operations: taking leave costs the same however many there are, and Node sees no leak.

const audiences = new WeakMap<AbortSignal, Set<() => void>>();
const nothing = (): void => {};

/** Calls `listener` once when the signal is aborted, unless the returned function was called before. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return nothing;
  const audience = audiences.get(signal) ?? newAudience(signal);
  audience.add(listener);
  return () => {
    audience.delete(listener);
  };
}

function newAudience(signal: AbortSignal): Set<() => void> {
  const audience = new Set<() => void>();
  audiences.set(signal, audience);
  const tellAll = (): void => {
    for (const listener of audience) {
      audience.delete(listener);
      listener();
    }
  };
  signal.addEventListener("abort", tellAll, { once: true });
  return audience;
}

/** The reason of an aborted signal as an Error. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error
    ? reason
    : new Error("The operation was aborted", { cause: reason });
}

/** A signal that is aborted with the first of several; dispose it when the operation is over. */
export class JoinedSignal {
  readonly signal: AbortSignal;
  readonly #leave: readonly (() => void)[];

  constructor(signals: readonly (AbortSignal | undefined)[]) {
    const controller = new AbortController();
    this.signal = controller.signal;
    this.#leave = signals.map((signal) => {
      if (signal?.aborted === true) controller.abort(signal.reason);
      return onAbort(signal, () => controller.abort(signal?.reason));
    });
  }

  [Symbol.dispose](): void {
    for (const leave of this.#leave) leave();
  }
}
