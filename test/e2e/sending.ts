// Messages to and from a server by raw calls, for tests of processes.
import assert from "node:assert/strict";
import { messagingService, type RawClient } from "./raw-client.ts";

const ok = 20_000;
let lastId = 0;

/** Sends one message; gives the code of its entry. */
export async function send(client: RawClient, topic: string, body: string): Promise<number> {
  lastId += 1;
  const { entries, status } = await client.call(messagingService.methods.SendMessage, {
    messages: [
      {
        topic: { name: topic },
        systemProperties: {
          messageId: `e2e-${process.pid}-${lastId}`,
          messageType: 1,
          bodyEncoding: 1,
          bornTimestamp: { seconds: Math.floor(Date.now() / 1000) },
          bornHost: "test",
        },
        body: Buffer.from(body),
      },
    ],
  });
  return entries[0]?.status?.code ?? status?.code ?? 0;
}

/** Asks for the route of a topic, which creates it where that is allowed; gives the code. */
export async function route(client: RawClient, topic: string): Promise<number> {
  const { status } = await client.call(messagingService.methods.QueryRoute, {
    topic: { name: topic },
  });
  return status?.code ?? 0;
}

/** Receives up to 32 messages and gives their bodies. */
export async function receive(client: RawClient, topic: string, group: string): Promise<string[]> {
  const { code, messages } = await client.receive({
    group: { name: group },
    messageQueue: { topic: { name: topic }, id: -1 },
    filterExpression: { type: 1, expression: "*" },
    batchSize: 32,
    invisibleDuration: { seconds: 60 },
    longPollingTimeout: { seconds: 10 },
  }).done;
  assert.equal(code, ok);
  return messages.map(({ body }) => Buffer.from(body).toString());
}
