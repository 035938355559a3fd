// kill -9 of a real broker under load, round after round on one data folder: every acknowledged message
// is there after the restart, once an offset, in the order it was sent, without a gap.
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brokerAdminService, messagingService } from "@cometmq/proto";
import {
  framed,
  headerBlockFor,
  messagesIn,
  RawConnection,
  type RawRequest,
} from "../../bench/load/raw-connection.ts";
import { receiveRequest } from "../../bench/requests.ts";
import { ServerProcess } from "../../bench/server-process.ts";

const { methods } = messagingService;
const rounds = Number(process.env["ROUNDS"] ?? 10);
const connectionCount = 4;
const program = fileURLToPath(new URL("../../bin/cometmq", import.meta.url));
const sendHeaders = headerBlockFor(methods.SendMessage.path, { "x-mq-client-id": "crash" });

interface Sent {
  /** Connection and sequence number of every message that was acknowledged, by message id. */
  readonly acknowledged: Set<string>;
}

interface Found {
  readonly id: string;
  readonly queueId: number;
  readonly offset: number;
}

async function start(
  folder: string,
  ...flags: string[]
): Promise<{ server: ServerProcess; port: number }> {
  const ports = ["--grpc-port", "0", "--namesrv-port", "0", "--metrics-port", "0"];
  const server = await ServerProcess.start(
    [process.execPath, program, "--data", folder, ...ports, ...flags],
    (line) => line.startsWith("ready"),
  );
  const ready = server.firstLines.find((line) => line.startsWith("ready")) ?? "";
  return { server, port: Number(/grpc=\S*?:(\d+)/.exec(ready)?.[1]) };
}

function message(
  topic: string,
  connection: number,
  sequence: number,
): RawRequest & { readonly id: string } {
  const id = `${connection}-${String(sequence).padStart(8, "0")}`;
  const body = methods.SendMessage.request.encode({
    messages: [
      {
        topic: { name: topic },
        systemProperties: {
          messageId: id,
          bodyEncoding: 1,
          messageType: 1,
          bornHost: "crash",
          queueId: connection + 1,
        },
        body: Buffer.from(`body of ${id}`),
      },
    ],
  });
  return { headerBlock: sendHeaders, body: framed(body), id };
}

/** Sends on every connection until the broker dies; collects what it acknowledged with OK. */
async function sendUntilDeath(
  port: number,
  topic: string,
): Promise<{ sent: Sent; broken: () => boolean }> {
  const acknowledged = new Set<string>();
  const connections = await Promise.all(
    Array.from({ length: connectionCount }, (_, connection) => {
      let sequence = 0;
      const ids = new Map<RawRequest, string>();
      return RawConnection.open(port, {
        inFlight: 32,
        collect: true,
        next: () => {
          const request = message(topic, connection, sequence++);
          ids.set(request, request.id);
          return request;
        },
        onResponse: (body, request) => {
          const id = ids.get(request) ?? "";
          ids.delete(request);
          for (const answer of messagesIn(body)) {
            const { status, entries } = methods.SendMessage.response.decode(answer);
            if (status?.code !== 20_000) continue;
            assert.equal(entries?.[0]?.messageId, id);
            acknowledged.add(id);
          }
        },
      });
    }),
  );
  return {
    sent: { acknowledged },
    broken: () => connections.every((connection) => connection.failure !== undefined),
  };
}

/** How many messages the broker holds of `topic`. */
async function storedCount(port: number, topic: string): Promise<number> {
  const { GetTopicStatus } = brokerAdminService.methods;
  const request = {
    headerBlock: headerBlockFor(GetTopicStatus.path),
    body: framed(GetTopicStatus.request.encode({ name: topic })),
  };
  let isAsked = false;
  let count: number | undefined;
  const connection = await RawConnection.open(port, {
    inFlight: 1,
    collect: true,
    next: () => {
      if (isAsked) return undefined;
      isAsked = true;
      return request;
    },
    onResponse: (body) => {
      for (const answer of messagesIn(body)) {
        const { queues } = GetTopicStatus.response.decode(answer);
        count = (queues ?? []).reduce((sum, queue) => sum + (queue.maxOffset ?? 0), 0);
      }
    },
  });
  await poll(() => count !== undefined);
  connection.close();
  return count ?? 0;
}

/** The `wanted` messages that a new group gets of `topic`. */
async function receiveAll(port: number, topic: string, wanted: number): Promise<Found[]> {
  const found: Found[] = [];
  const receive = receiveRequest(topic, `crash-${topic}`);
  const connection = await RawConnection.open(port, {
    inFlight: 4,
    collect: true,
    next: () => (found.length >= wanted ? undefined : receive),
    onResponse: (body) => {
      for (const frame of messagesIn(body)) {
        const system = methods.ReceiveMessage.response.decode(frame).message?.systemProperties;
        if (system === undefined || system === null) continue;
        found.push({
          id: system.messageId ?? "",
          queueId: system.queueId ?? 0,
          offset: system.queueOffset ?? 0,
        });
      }
    },
  });
  await poll(() => found.length >= wanted);
  connection.close();
  return found;
}

async function poll(isDone: () => boolean, limitMs = 15_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!isDone()) {
    assert.ok(performance.now() < end, "not done in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function check(found: readonly Found[], acknowledged: ReadonlySet<string>): void {
  const ids = new Set(found.map((one) => one.id));
  const lost = [...acknowledged].filter((id) => !ids.has(id));
  assert.deepEqual(
    lost.slice(0, 5),
    [],
    `${lost.length} of ${acknowledged.size} acknowledged messages are gone`,
  );
  for (let queueId = 1; queueId <= connectionCount; queueId++) {
    const queue = found
      .filter((one) => one.queueId === queueId)
      .toSorted((a, b) => a.offset - b.offset);
    queue.forEach((one, index) =>
      assert.equal(one.offset, index, `queue ${queueId} has a gap or a repeat`),
    );
    const order = queue.map((one) => one.id);
    assert.deepEqual(order, order.toSorted(), `queue ${queueId} is not in the order it was sent`);
  }
}

describe("kill -9 under load", function () {
  this.timeout(240_000);
  let folder = "";

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "cometmq-kill-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it(`loses nothing that was acknowledged in ${rounds} rounds`, async () => {
    let total = 0;
    for (let round = 0; round < rounds; round++) {
      const flags = ["--flushDiskType", round % 2 === 0 ? "SYNC_FLUSH" : "ASYNC_FLUSH"];
      // Small files in every third round, so that kills come while a new one is begun.
      if (round % 3 === 0) flags.push("--mappedFileSizeCommitLog", "65536");
      flags.push("--maxMessageSize", "8192");
      const topic = `round-${round}`;
      const broker = await start(folder, ...flags);
      const { sent, broken } = await sendUntilDeath(broker.port, topic);
      const enough = 200 + ((round * 977) % 3000);
      await poll(() => sent.acknowledged.size >= enough);
      const gone = once(broker.server.child, "exit");
      broker.server.child.kill("SIGKILL");
      await gone;
      await poll(broken);

      const again = await start(folder, ...flags);
      const found = await receiveAll(again.port, topic, await storedCount(again.port, topic));
      check(found, sent.acknowledged);
      total += sent.acknowledged.size;
      again.server.child.kill("SIGKILL");
      await once(again.server.child, "exit");
    }
    assert.ok(total >= rounds * 200);
  });
});
