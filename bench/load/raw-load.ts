// Loads built of raw connections: sends over many topics, and receive with acknowledgement.
import type { RawRequest } from "./raw-connection.ts";
import { messagesIn, RawConnection } from "./raw-connection.ts";

/** What a load achieved. */
export interface LoadResult {
  /** Messages sent, or received and acknowledged. */
  readonly messages: number;
  readonly seconds: number;
  readonly perSecond: number;
}

interface SendLoad {
  readonly port: number;
  /** Sent in turn. */
  readonly requests: readonly RawRequest[];
  readonly connections: number;
  readonly inFlight: number;
  /** Stops after so many messages, or after so many seconds, whichever comes first. */
  readonly countMax: number;
  readonly secondsMax: number;
}

/** Sends `requests` in turn and waits for every answer. */
export async function sendLoad(load: SendLoad): Promise<LoadResult> {
  let sent = 0;
  let answered = 0;
  const began = performance.now();
  const endAt = began + load.secondsMax * 1000;
  const hasMore = (): boolean => sent < load.countMax && performance.now() < endAt;
  let moreLeft = true;
  const next = (): RawRequest | undefined => {
    if (!moreLeft) return undefined;
    if ((sent & 63) === 0) moreLeft = hasMore();
    if (!moreLeft || sent >= load.countMax) return undefined;
    return load.requests[sent++ % load.requests.length];
  };
  const connections = await openAll(load, { next, onResponse: () => void answered++ });
  await until(connections, () => {
    if (moreLeft) moreLeft = hasMore();
    return !moreLeft && connections.every((connection) => connection.inFlight === 0);
  });
  return result(answered, performance.now() - began);
}

interface FollowedLoad extends SendLoad {
  /** Builds the call that follows on the answer to a send. Throws for an answer that is a refusal. */
  readonly followOf: (answer: Buffer) => RawRequest;
}

/** Sends `requests` in turn, and for each answer the call that follows; waits for the answers to all of them. */
export async function followedLoad(load: FollowedLoad): Promise<LoadResult> {
  const follows: RawRequest[] = [];
  const following = new Set<RawRequest>();
  let sent = 0;
  let done = 0;
  const began = performance.now();
  const endAt = began + load.secondsMax * 1000;
  const hasMore = (): boolean => sent < load.countMax && performance.now() < endAt;
  const next = (): RawRequest | undefined => {
    const follow = follows.shift();
    if (follow !== undefined) following.add(follow);
    return follow ?? (hasMore() ? load.requests[sent++ % load.requests.length] : undefined);
  };
  const onResponse = (answer: Buffer, request: RawRequest): void => {
    if (following.delete(request)) done += 1;
    else follows.push(load.followOf(answer));
  };
  const connections = await openAll(load, { next, onResponse, collect: true });
  let lastedMs = 0;
  await until(connections, () => {
    lastedMs = performance.now() - began;
    return !hasMore() && done === sent;
  });
  return result(done, lastedMs);
}

interface ReceiveLoad {
  readonly port: number;
  readonly receives: readonly RawRequest[];
  readonly handleOf: (
    frame: Uint8Array,
  ) => { readonly messageId: string; readonly receiptHandle: string } | undefined;
  /** Builds the acknowledgement of what a receive request has given. */
  readonly ackOf: (
    receive: RawRequest,
    entries: readonly { readonly messageId: string; readonly receiptHandle: string }[],
  ) => RawRequest;
  readonly connections: number;
  readonly inFlight: number;
  readonly countMax: number;
  readonly secondsMax: number;
  /** Called about every 250 ms with the count so far. */
  readonly onProgress?: (acknowledged: number) => void;
}

/** Receives and acknowledges until `countMax` messages are done or the time is over. */
export async function receiveLoad(load: ReceiveLoad): Promise<LoadResult> {
  let received = 0;
  let acknowledged = 0;
  let turn = 0;
  let lastAckAt = 0;
  const acks: { readonly request: RawRequest; readonly count: number }[] = [];
  const ackCounts = new Map<RawRequest, number>();
  const began = performance.now();
  const endAt = began + load.secondsMax * 1000;
  const isOver = (): boolean => received >= load.countMax || performance.now() >= endAt;
  const next = (): RawRequest | undefined => {
    const ack = acks.pop();
    if (ack !== undefined) {
      ackCounts.set(ack.request, ack.count);
      return ack.request;
    }
    return isOver() ? undefined : load.receives[turn++ % load.receives.length];
  };
  const onResponse = (body: Buffer, request: RawRequest): void => {
    const ackCount = ackCounts.get(request);
    if (ackCount !== undefined) {
      ackCounts.delete(request);
      acknowledged += ackCount;
      lastAckAt = performance.now();
      return;
    }
    const entries = [...messagesIn(body)].flatMap((frame) => load.handleOf(frame) ?? []);
    if (entries.length === 0) return;
    received += entries.length;
    acks.push({ request: load.ackOf(request, entries), count: entries.length });
  };
  const connections = await openAll(load, { next, onResponse, collect: true });
  await until(connections, () => {
    load.onProgress?.(acknowledged);
    for (const connection of connections) connection.kick();
    if (acks.length > 0 || ackCounts.size > 0) return false;
    // Out of time: receives that are still under way may hold messages, which are acknowledged too.
    const idle = connections.every((connection) => connection.inFlight === 0);
    return acknowledged >= load.countMax || (isOver() && idle);
  });
  return result(acknowledged, lastAckAt - began);
}

interface Wiring {
  readonly next: () => RawRequest | undefined;
  readonly onResponse: (body: Buffer, request: RawRequest) => void;
  readonly collect?: boolean;
}

function openAll(
  load: { readonly port: number; readonly connections: number; readonly inFlight: number },
  wiring: Wiring,
): Promise<RawConnection[]> {
  const options = { inFlight: load.inFlight, ...wiring };
  return Promise.all(
    Array.from({ length: load.connections }, () => RawConnection.open(load.port, options)),
  );
}

/** Polls until `isDone`; closes the connections then, or throws what broke one of them. */
async function until(connections: readonly RawConnection[], isDone: () => boolean): Promise<void> {
  try {
    while (!isDone()) {
      const failure = connections.find((connection) => connection.failure !== undefined)?.failure;
      if (failure !== undefined) throw failure;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } finally {
    for (const connection of connections) connection.close();
  }
}

function result(messages: number, ms: number): LoadResult {
  return { messages, seconds: ms / 1000, perSecond: (messages * 1000) / ms };
}
