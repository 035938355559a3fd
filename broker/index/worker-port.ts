// An index in a worker thread, so that building it takes no time from sends.
import { Worker } from "node:worker_threads";
import type { WorkerAnswer, WorkerRequest, WorkerStart } from "./index-messages.ts";
import type {
  FoundMessage,
  IndexPort,
  IndexProgress,
  IndexQuery,
  IndexTarget,
} from "./index-port.ts";

interface Call {
  readonly resolve: (answer: WorkerAnswer) => void;
  readonly reject: (error: Error) => void;
}

/** Without the number, which is given when the call is made. */
type Question =
  | { readonly kind: "advance"; readonly target: IndexTarget }
  | { readonly kind: "query"; readonly query: IndexQuery }
  | { readonly kind: "close" };

/** The thread holds little: its heap needs no more, and the broker's memory is bounded. */
const resourceLimits = {
  maxOldGenerationSizeMb: 64,
  maxYoungGenerationSizeMb: 4,
  stackSizeMb: 1,
};

/** Talks to one worker thread. When that ends, all calls reject. */
export class WorkerPort implements IndexPort {
  readonly #worker: Worker;
  readonly #calls = new Map<number, Call>();
  #callCount = 0;
  #failure: Error | undefined;

  constructor(start: WorkerStart) {
    this.#worker = startWorker(start);
    // The process may end without it.
    this.#worker.unref();
    this.#worker.on("message", (answer: WorkerAnswer) => this.#answered(answer));
    this.#worker.on("error", (error) => this.#end(error));
    this.#worker.on("exit", (code) =>
      this.#end(new Error(`the index's thread ended with ${code}`)),
    );
  }

  async advance(target: IndexTarget): Promise<IndexProgress> {
    const answer = await this.#call({ kind: "advance", target });
    if ("progress" in answer) return answer.progress;
    throw wrongAnswer();
  }

  async query(query: IndexQuery): Promise<readonly FoundMessage[]> {
    const answer = await this.#call({ kind: "query", query });
    if ("found" in answer) return answer.found;
    throw wrongAnswer();
  }

  async close(): Promise<void> {
    try {
      if (this.#failure === undefined) await this.#call({ kind: "close" });
    } finally {
      await this.#worker.terminate();
    }
  }

  #call(question: Question): Promise<WorkerAnswer> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const number = ++this.#callCount;
    return new Promise((resolve, reject) => {
      this.#calls.set(number, { resolve, reject });
      const request: WorkerRequest = { number, ...question };
      this.#worker.postMessage(request);
    });
  }

  #answered(answer: WorkerAnswer): void {
    const call = this.#calls.get(answer.number);
    this.#calls.delete(answer.number);
    if ("failure" in answer) call?.reject(new Error(answer.failure));
    else call?.resolve(answer);
  }

  #end(failure: Error): void {
    this.#failure ??= failure;
    for (const call of this.#calls.values()) call.reject(this.#failure);
    this.#calls.clear();
  }
}

/** The thread runs what is beside this file: compiled in production, the source under tsx in tests. */
function startWorker(workerData: WorkerStart): Worker {
  if (!import.meta.url.endsWith(".ts")) {
    const entry = new URL("./index-worker.js", import.meta.url);
    return new Worker(entry, { workerData, resourceLimits });
  }
  const entry = JSON.stringify(new URL("./index-worker.ts", import.meta.url).href);
  // A thread does not take over tsx from its parent.
  const code = `import("tsx/esm/api").then((tsx) => { tsx.register(); return import(${entry}); })`;
  return new Worker(code, { workerData, resourceLimits, eval: true });
}

function wrongAnswer(): Error {
  return new Error("the index's thread gave an answer of another kind");
}
