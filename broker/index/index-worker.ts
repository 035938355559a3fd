// The worker thread of the index: opens the log's files and the index's database, and answers calls.
import { parentPort, workerData } from "node:worker_threads";
import { assert, background } from "../../base/index.ts";
import { nodeDisk, Segments, scanLog } from "../store/index.ts";
import { indexFolder } from "./index-level.ts";
import type { WorkerAnswer, WorkerRequest, WorkerStart } from "./index-messages.ts";
import { Indexer } from "./indexer.ts";

async function open(start: WorkerStart): Promise<Indexer> {
  const segments = await Segments.open(nodeDisk, start.logFolder);
  return Indexer.open({
    database: indexFolder(nodeDisk, start.indexFolder),
    log: {
      refresh: () => segments.refresh(),
      scan: (from, to) => scanLog(segments, from, to),
    },
    start: start.start,
    monotonicMs: () => performance.now(),
  });
}

async function answer(indexer: Promise<Indexer>, request: WorkerRequest): Promise<WorkerAnswer> {
  const { number } = request;
  try {
    const port = await indexer;
    if (request.kind === "advance") {
      return { number, progress: await port.advance(request.target) };
    }
    if (request.kind === "query") return { number, found: await port.query(request.query) };
    await port.close();
    return { number, closed: true };
  } catch (error) {
    return { number, failure: error instanceof Error ? error.message : String(error) };
  }
}

const port = parentPort;
assert(port !== null, "the worker of the index runs in a worker thread");
const indexer = open(workerData as WorkerStart);
// Told to whoever calls.
indexer.catch(() => {});
port.on("message", (request: WorkerRequest) => {
  background(answer(indexer, request).then((reply) => port.postMessage(reply)));
});
