// kill -9 of a broker between storing a message and answering for it: the retry at the next process is stored once.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brokerAdminService, messagingService, type rocketmq } from "@cometmq/proto";
import { ServerProcess } from "../../bench/server-process.ts";
import { openMutableWire } from "../e2e/mutable-wire.ts";
import { RawClient } from "../e2e/raw-client.ts";
import { until } from "../e2e/waiting.ts";

const { SendMessage, QueryRoute } = messagingService.methods;
const program = fileURLToPath(new URL("../../bin/cometmq", import.meta.url));
const topic = "orders";

interface Running {
  readonly server: ServerProcess;
  readonly port: number;
}

async function start(folder: string, flushDiskType: string): Promise<Running> {
  const ports = ["--grpc-port", "0", "--namesrv-port", "0", "--metrics-port", "0"];
  const flags = ["--flushDiskType", flushDiskType];
  const server = await ServerProcess.start(
    [process.execPath, program, "--data", folder, ...ports, ...flags],
    (line) => line.startsWith("ready"),
  );
  const ready = server.firstLines.find((line) => line.startsWith("ready")) ?? "";
  return { server, port: Number(/grpc=\S*?:(\d+)/.exec(ready)?.[1]) };
}

function message(number: number): rocketmq.v2.IMessage {
  return {
    topic: { name: topic },
    body: Buffer.from(`paid ${number}`),
    systemProperties: {
      messageId: `01${String(number).padStart(32, "0")}`,
      messageType: 1,
      queueId: 1,
    },
  };
}

async function stored(client: RawClient): Promise<number> {
  const { queues } = await client.call(brokerAdminService.methods.GetTopicStatus, { name: topic });
  return queues.reduce((sum, { maxOffset }) => sum + maxOffset, 0);
}

describe("crash: a send that is repeated after kill -9", function () {
  this.timeout(60_000);

  for (const flushDiskType of ["SYNC_FLUSH", "ASYNC_FLUSH"]) {
    it(`is stored once with ${flushDiskType}`, async () => {
      const folder = await mkdtemp(join(tmpdir(), "cometmq-repeat-"));
      try {
        await killBetween(folder, flushDiskType);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
});

async function killBetween(folder: string, flushDiskType: string): Promise<void> {
  const first = await start(folder, flushDiskType);
  const wire = await openMutableWire(first.port);
  const direct = new RawClient(`127.0.0.1:${first.port}`);
  const far = new RawClient(wire.endpoints);
  await far.call(QueryRoute, { topic: { name: topic } });
  assert.equal((await far.call(SendMessage, { messages: [message(1)] })).status?.code, 20_000);
  wire.mute();
  const unanswered = assert.rejects(far.call(SendMessage, { messages: [message(2), message(3)] }));
  await until("the messages are stored", async () => (await stored(direct)) === 3);
  first.server.child.kill("SIGKILL");
  await unanswered;
  for (const client of [direct, far]) client.close();
  wire.close();

  const second = await start(folder, flushDiskType);
  const again = new RawClient(`127.0.0.1:${second.port}`);
  const answer = await again.call(SendMessage, { messages: [message(2), message(3), message(4)] });
  assert.equal(answer.status?.code, 20_000, answer.status?.message);
  assert.deepEqual(
    answer.entries.map(({ offset }) => offset),
    [1, 2, 3],
  );
  assert.equal(await stored(again), 4);
  again.close();
  await second.server.stop();
}
