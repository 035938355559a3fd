// The two programs of idle.verify.ts: `server` holds connections, `client PORT COUNT` opens them. Each says what
// it did on standard output, one line at a time, and obeys the lines of its standard input.
import { once } from "node:events";
import { createInterface } from "node:readline";
import { silentLogger, systemClock } from "../../base/index.ts";
import { FrameType } from "../../transport/http2.ts";
import { GrpcServer, type MethodHandler } from "../../transport/index.ts";
import { callHeaders, frame, RawClient, wholeCall } from "./raw-client.ts";

const endHeaders = 4;
/** Connections that are opened at the same time. */
const openingCount = 200;

async function serve(): Promise<void> {
  const methods = new Map<string, MethodHandler>([
    ["/t.T/Echo", { kind: "unary", handle: (request) => request }],
    [
      "/t.T/Wait",
      {
        kind: "bidi",
        handle: async (stream) => {
          for await (const message of stream.messages) stream.write(message);
        },
      },
    ],
  ]);
  const server = await GrpcServer.listen({
    host: "127.0.0.1",
    port: 0,
    methods,
    services: { names: [], files: new Map() },
    clock: systemClock,
    logger: silentLogger,
  });
  console.log(`port ${server.port}`);
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "measure") {
      globalThis.gc?.();
      globalThis.gc?.();
      const { rss } = process.memoryUsage();
      console.log(`measured ${rss} ${server.connections} ${server.calls}`);
    }
    if (line === "end") break;
  }
  await server.close({ graceMs: 0 });
}

async function dial(port: number, count: number): Promise<void> {
  const clients: RawClient[] = [];
  for (let opened = 0; opened < count; opened += openingCount) {
    const batch = Array.from({ length: Math.min(openingCount, count - opened) }, async () => {
      const client = await RawClient.connect(port);
      client.send(wholeCall(1, "/t.T/Echo"));
      await client.next(FrameType.headers, 2);
      clients.push(client);
    });
    await Promise.all(batch);
  }
  console.log(`opened ${clients.length}`);
  for await (const line of createInterface({ input: process.stdin })) {
    if (line === "call") {
      for (const client of clients) client.send(callHeaders(3, "/t.T/Wait"));
      for (const client of clients) await client.next(FrameType.headers, 3);
      console.log("called");
    }
    if (line === "message") {
      for (const client of clients) client.send(frame(FrameType.data, 0, 3, "0000000001aa"));
      for (const client of clients) await client.next(FrameType.data, 2);
      const alive = clients.filter(
        ({ closed, frames }) => !closed && frames.some(({ flags }) => flags === endHeaders),
      );
      console.log(`alive ${alive.length}`);
    }
    if (line === "end") break;
  }
  const closing = clients.map(async ({ socket }) => {
    const closed = once(socket, "close");
    socket.destroy();
    await closed;
  });
  await Promise.all(closing);
}

const [, , role, port, count] = process.argv;
await (role === "server" ? serve() : dial(Number(port), Number(count)));
