// Work that nobody awaits still reports its failure: hand it to `background`.

type FailureListener = (error: unknown) => void;

let onFailure: FailureListener = (error) => {
  queueMicrotask(() => {
    throw error;
  });
};

/** Sets who hears of failures of background work in this process. Without one, a failure is an uncaught exception. */
export function onBackgroundFailure(listener: FailureListener): void {
  onFailure = listener;
}

/** Lets `task` run on without awaiting it; its failure reaches the listener of this process. */
export function background(task: Promise<unknown>): void {
  task.catch((error: unknown) => onFailure(error));
}
