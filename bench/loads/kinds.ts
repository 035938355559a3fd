// Kinds of messages against NORMAL ones, from the send to the acknowledgement: 1 KiB, by raw HTTP/2 clients. All kinds take
// their turn in each round, so that what else the machine does hits all of them.
import { brokerAdminService } from "@cometmq/proto";
import { adminCall } from "../cluster.ts";
import { followedLoad, receiveLoad, sendLoad } from "../load/raw-load.ts";
import { perSecond, type ReportRow } from "../report.ts";
import {
  ackRequest,
  commitRequest,
  receivedHandle,
  receiveRequest,
  sendRequest,
} from "../requests.ts";
import { type RunningServer, startBroker } from "../servers.ts";

const connections = 4;
const bodySize = 1_024;
/** Messages that stay in the broker's memory. */
const roundCount = 20_000;
const rounds = 5;
const messageGroupCount = 1_000;
/** All messages of a round have been taken before the first of them is due. */
const delayMs = 5_000;

/** Sends the messages of one round. Gives seconds. */
type Send = (server: RunningServer, topic: string) => Promise<number>;

interface Kind {
  readonly topic: string;
  readonly messageType: string;
  readonly send: Send;
  /** Waits until the messages sent last may be received. */
  readonly ripe?: () => Promise<void>;
}

interface Spent {
  sendSeconds: number;
  receiveSeconds: number;
}

/** FIFO in 1,000 message groups, delayed messages and transactions against NORMAL. */
export async function measureKinds(): Promise<ReportRow[]> {
  await using server = await startBroker(["--flushDiskType", "ASYNC_FLUSH"]);
  const { UpdateTopic } = brokerAdminService.methods;
  const kinds = [normal(), fifo(), delayed(), transactions()];
  for (const { topic, messageType } of kinds) {
    await adminCall(server, UpdateTopic, { name: topic, messageType });
  }
  const spent = new Map(kinds.map(({ topic }) => [topic, { sendSeconds: 0, receiveSeconds: 0 }]));
  // The first round makes the groups, and warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const kind of kinds) {
      const times = await endToEnd(server, kind);
      const sum = spent.get(kind.topic);
      if (round === 0 || sum === undefined) continue;
      sum.sendSeconds += times.sendSeconds;
      sum.receiveSeconds += times.receiveSeconds;
    }
  }
  const row = (load: string, topic: string, atLeast: number): ReportRow =>
    rowOf({ load, atLeast }, spent.get("normal"), spent.get(topic));
  return [
    row("FIFO, 1,000 message groups, sent to acknowledged", "fifo", 0.6),
    row("delayed, taken, and from due to acknowledged", "delayed", 0.4),
    row("transactions, half message to commit to acknowledged", "transactions", 0.3),
  ];
}

function normal(): Kind {
  const requests = [sendRequest("normal", bodySize)];
  return { topic: "normal", messageType: "NORMAL", send: sendAll(() => requests) };
}

function fifo(): Kind {
  const groups = Array.from({ length: messageGroupCount }, (_, index) => `group ${index}`);
  const requests = groups.map((messageGroup) => sendRequest("fifo", bodySize, { messageGroup }));
  return { topic: "fifo", messageType: "FIFO", send: sendAll(() => requests) };
}

/** All of a round are due at once. */
function delayed(): Kind {
  let dueMs = 0;
  const send = sendAll(() => {
    dueMs = Date.now() + delayMs;
    return [sendRequest("delayed", bodySize, { dueMs })];
  });
  const ripe = async (): Promise<void> => {
    if (Date.now() >= dueMs)
      throw new Error(`${roundCount} messages were not taken in ${delayMs} ms`);
    while (Date.now() < dueMs) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  return { topic: "delayed", messageType: "DELAY", send, ripe };
}

function transactions(): Kind {
  const requests = [sendRequest("transactions", bodySize, { isHalf: true })];
  const followOf = (answer: Buffer): ReturnType<typeof commitRequest> =>
    commitRequest("transactions", answer);
  const send: Send = async (server) =>
    (await followedLoad({ ...sending(server), requests, followOf })).seconds;
  return { topic: "transactions", messageType: "TRANSACTION", send };
}

function sendAll(requestsOf: () => Parameters<typeof sendLoad>[0]["requests"]): Send {
  return async (server) => {
    const { seconds } = await sendLoad({ ...sending(server), requests: requestsOf() });
    return seconds;
  };
}

function sending({ port }: RunningServer): Omit<Parameters<typeof sendLoad>[0], "requests"> {
  return { port, connections, countMax: roundCount, secondsMax: 120, inFlight: 64 };
}

async function endToEnd(server: RunningServer, kind: Kind): Promise<Spent> {
  const { topic } = kind;
  const group = `bench-group-${topic}`;
  const sendSeconds = await kind.send(server, topic);
  await kind.ripe?.();
  const { seconds, messages } = await receiveLoad({
    port: server.port,
    connections,
    receives: [receiveRequest(topic, group)],
    handleOf: receivedHandle,
    ackOf: (_, entries) => ackRequest(topic, group, entries),
    countMax: roundCount,
    secondsMax: 120,
    inFlight: 16,
  });
  if (messages < roundCount) throw new Error(`${topic}: ${messages} of ${roundCount} came`);
  return { sendSeconds, receiveSeconds: seconds };
}

function rowOf(
  { load, atLeast }: { readonly load: string; readonly atLeast: number },
  base: Spent = { sendSeconds: 0, receiveSeconds: 0 },
  spent: Spent = base,
): ReportRow {
  const count = rounds * roundCount;
  const rate = ({ sendSeconds, receiveSeconds }: Spent): number =>
    count / (sendSeconds + receiveSeconds);
  return {
    load,
    measured: perSecond(rate(spent)),
    baseline: `NORMAL ${perSecond(rate(base))}`,
    figure: rate(spent) / rate(base),
    bar: { atLeast },
    details: {
      sentPerSecond: Math.round(count / spent.sendSeconds),
      receivedPerSecond: Math.round(count / spent.receiveSeconds),
      normalSentPerSecond: Math.round(count / base.sendSeconds),
      normalReceivedPerSecond: Math.round(count / base.receiveSeconds),
    },
  };
}
