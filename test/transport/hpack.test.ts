// Node's HTTP/2 client (nghttp2) as the judge of our header decoder: it uses Huffman codes and the dynamic table.
import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import * as fc from "fast-check";
import type { MethodHandler } from "../../transport/index.ts";
import { openServer, type TestServer } from "./test-server.ts";

const names = Array.from({ length: 12 }, (_, index) => `x-${"name".repeat(index % 4)}${index}`);

/** Answers with the values of all test headers, as JSON. */
const echoHeaders: MethodHandler = {
  kind: "unary",
  handle: (_request, call) =>
    Buffer.from(JSON.stringify(names.map((name) => call.header(name) ?? null))),
};

async function ask(
  session: ClientHttp2Session,
  headers: Readonly<Record<string, string>>,
): Promise<unknown> {
  const stream = session.request({
    ":method": "POST",
    ":path": "/t.T/Headers",
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  });
  stream.end(Buffer.alloc(5));
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  return JSON.parse(Buffer.concat(chunks).subarray(5).toString());
}

describe("header blocks of Node's HTTP/2 client", () => {
  let under: TestServer;
  before(async () => {
    under = await openServer({ methods: new Map([["/t.T/Headers", echoHeaders]]) });
  });
  after(() => under[Symbol.asyncDispose]());

  it("are understood, whatever was sent before", async () => {
    const text = fc.stringMatching(/^[!-~]([ -~]{0,80}[!-~])?$/);
    const request = fc.dictionary(fc.constantFrom(...names), text, {
      maxKeys: 8,
      noNullPrototype: true,
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 30 }), async (requests) => {
        const session = connect(`http://127.0.0.1:${under.port}`);
        for (const headers of requests) {
          // Twice: the second may come from the cache of heads.
          for (let round = 0; round < 2; round += 1) {
            assert.deepEqual(
              await ask(session, headers),
              names.map((name) => headers[name] ?? null),
            );
          }
        }
        session.close();
      }),
      { numRuns: 30 },
    );
  });
});
