// Calls against servers that answer well, badly or not at all.
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { brokerAdminService, type cometmq } from "@cometmq/proto";
import { Connections } from "./call.ts";
import { CommandFailure, UnreachableFailure } from "./failure.ts";

const method = brokerAdminService.methods.ListTopics;

/** What a server does with a call. */
type Answer = (stream: ServerHttp2Stream) => void;

describe("mqadmin calls", () => {
  let server: Http2Server;
  let connections: Connections;
  let answer: Answer;

  beforeEach(async () => {
    server = createServer();
    server.on("stream", (stream: ServerHttp2Stream) => {
      stream.on("error", () => {});
      answer(stream);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    connections = new Connections(5_000);
  });

  afterEach(async () => {
    connections.close();
    server.close();
    await once(server, "close");
  });

  function call(over: Connections = connections) {
    const { port } = server.address() as AddressInfo;
    return over.call(`127.0.0.1:${port}`, method, {});
  }

  function replying(response: cometmq.v1.IListTopicsResponse, pieceSize = 1 << 20): Answer {
    const message = Buffer.from(method.response.encode(response));
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    const frame = Buffer.concat([prefix, message]);
    return (stream) => {
      stream.respond(
        { ":status": 200, "content-type": "application/grpc" },
        { waitForTrailers: true },
      );
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      for (let at = 0; at < frame.length; at += pieceSize) {
        stream.write(frame.subarray(at, at + pieceSize));
      }
      stream.end();
    };
  }

  function failing(status: number, message: string): Answer {
    return (stream) =>
      stream.respond(
        { ":status": 200, "grpc-status": `${status}`, "grpc-message": message },
        { endStream: true },
      );
  }

  it("give the answer, in however many pieces it comes, also one of some megabytes", async () => {
    const topics = [{ name: "a".repeat(6_000_000) }, { name: "b" }];
    answer = replying({ status: { code: 20_000 }, topics }, 70_000);
    const { topics: found } = await call();
    assert.deepEqual(
      found.map(({ name }) => name.length),
      [6_000_000, 1],
    );
    answer = replying({ status: { code: 20_000 } }, 2);
    assert.deepEqual((await call()).topics, []);
  });

  it("refuse an answer whose status is not OK, with its text", async () => {
    answer = replying({ status: { code: 40_402, message: "no such topic" } });
    await assert.rejects(call(), /no such topic \(40402\)/);
  });

  it("pass on what gRPC says, decoded", async () => {
    answer = failing(13, "na%C3%AFve 100%25");
    await assert.rejects(call(), /naïve 100%$/);
    answer = failing(12, "");
    await assert.rejects(call(), /does not serve this command/);
    answer = failing(14, "stopping");
    await assert.rejects(call(), (error) => {
      return error instanceof UnreachableFailure && /nobody answers.*stopping/.test(error.message);
    });
  });

  it("end when nobody answers in time, or the connection is lost", async () => {
    answer = () => {};
    const impatient = new Connections(50);
    await assert.rejects(call(impatient), /did not answer in time/);
    impatient.close();
    answer = (stream) => stream.session?.destroy();
    await assert.rejects(call(), UnreachableFailure);
    answer = replying({ status: { code: 20_000 } });
    assert.deepEqual((await call()).topics, []);
  });

  it("say that nobody is there", async () => {
    await assert.rejects(connections.call("127.0.0.1:1", method, {}), (error) => {
      assert.ok(error instanceof CommandFailure);
      assert.match(error.message, /nobody answers at 127\.0\.0\.1:1: connect ECONNREFUSED\./);
      return true;
    });
  });
});
