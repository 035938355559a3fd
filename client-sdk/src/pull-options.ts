// Options of consumers that read by offset, checked. Pure.
import { ClientError } from "./client-error.ts";
import { type Abortable, type ClientOptions, numberOption } from "./options.ts";
import type { SeekTarget } from "./topic-queue.ts";

/** Options that all consumers that read by offset have. */
export interface ReadingOptions extends ClientOptions {
  readonly consumerGroup: string;
  /** Where to begin on a queue for which no position is stored. */
  readonly initialPosition?: Exclude<SeekTarget, number> | undefined;
  /** Whether positions are stored without being asked; true when left out. */
  readonly autoCommit?: boolean | undefined;
  /** How often, in milliseconds, from 100; 5000 when left out. */
  readonly autoCommitInterval?: number | undefined;
  /** Messages asked for at once in one queue, from 1; 32 when left out. */
  readonly batchSize?: number | undefined;
  /** Milliseconds a broker holds a call about a queue without news; 15000 when left out. */
  readonly longPollingTimeout?: number | undefined;
  /** Bytes of bodies held at most, about; 64 MiB when left out. */
  readonly maxCacheMessageSizeInBytes?: number | undefined;
}

/** How `poll` reads. */
export interface PollOptions extends Abortable {
  /** Messages at most; 32 when left out. */
  readonly maxMessageNum?: number | undefined;
  /** Milliseconds to wait for the first message; 5000 when left out. */
  readonly timeout?: number | undefined;
}

/** Options after the check. */
export interface CheckedReading {
  readonly batchSize: number;
  readonly longPollingMs: number;
  readonly cacheSizeMaxBytes: number;
  readonly autoCommitMs: number | undefined;
  readonly initial: Exclude<SeekTarget, number>;
}

const batchSizeMax = 512;
const longPollingMaxMs = 20_000;

/** Checks options. Throws ClientError BAD_OPTION. */
export function checkReading(
  options: ReadingOptions,
  initialDefault: "beginning" | "end",
): CheckedReading {
  if (typeof options.consumerGroup !== "string" || options.consumerGroup === "") {
    throw new ClientError("BAD_OPTION", "consumerGroup is missing");
  }
  const intervalMs = numberOption("autoCommitInterval", options.autoCommitInterval, {
    min: 100,
    max: 86_400_000,
    otherwise: 5_000,
  });
  return {
    batchSize: numberOption("batchSize", options.batchSize, {
      min: 1,
      max: batchSizeMax,
      otherwise: 32,
    }),
    longPollingMs: numberOption("longPollingTimeout", options.longPollingTimeout, {
      min: 0,
      max: longPollingMaxMs,
      otherwise: 15_000,
    }),
    cacheSizeMaxBytes: numberOption(
      "maxCacheMessageSizeInBytes",
      options.maxCacheMessageSizeInBytes,
      { min: 1, max: Number.MAX_SAFE_INTEGER, otherwise: 2 ** 26 },
    ),
    autoCommitMs: options.autoCommit === false ? undefined : intervalMs,
    initial: checkInitial(options.initialPosition ?? initialDefault),
  };
}

/** Checks how much a poll wants. Throws ClientError BAD_OPTION. */
export function checkPoll(options: PollOptions): { countMax: number; timeoutMs: number } {
  return {
    countMax: numberOption("maxMessageNum", options.maxMessageNum, {
      min: 1,
      max: 100_000,
      otherwise: 32,
    }),
    timeoutMs: numberOption("timeout", options.timeout, {
      min: 0,
      max: 3_600_000,
      otherwise: 5_000,
    }),
  };
}

/** Checks a place to go to. Throws ClientError BAD_OPTION. */
export function checkTarget(target: SeekTarget): SeekTarget {
  if (typeof target !== "number") return checkInitial(target);
  if (Number.isSafeInteger(target) && target >= 0) return target;
  throw new ClientError("BAD_OPTION", `an offset is a whole number from 0, got ${target}`);
}

function checkInitial(target: Exclude<SeekTarget, number>): Exclude<SeekTarget, number> {
  const isMoment = target instanceof Date && !Number.isNaN(target.getTime());
  if (target === "beginning" || target === "end" || isMoment) return target;
  throw new ClientError(
    "BAD_OPTION",
    `a position is "beginning", "end" or a valid Date, got ${String(target)}`,
  );
}
