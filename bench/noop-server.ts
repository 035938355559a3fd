// The named baseline: a stock @grpc/grpc-js server that answers each call with fixed bytes and does nothing else.
// Run as a process of its own; prints its port as the first line.
import {
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from "@grpc/grpc-js";
import { noopReplies } from "./noop-replies.ts";

const raw = (value: Buffer): Buffer => value;
const base = "/apache.rocketmq.v2.MessagingService/";

function method(
  name: string,
  options: { readonly requestStream?: boolean; readonly responseStream?: boolean } = {},
) {
  return {
    path: base + name,
    requestStream: options.requestStream ?? false,
    responseStream: options.responseStream ?? false,
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  };
}

function unary(answer: (request: Buffer) => Buffer) {
  return (call: ServerUnaryCall<Buffer, Buffer>, reply: sendUnaryData<Buffer>): void =>
    reply(null, answer(call.request));
}

const server = new Server({ "grpc.max_receive_message_length": -1 });
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
    error === null ? resolve(bound) : reject(error),
  );
});
const replies = noopReplies(port);

server.addService(
  {
    QueryRoute: method("QueryRoute"),
    QueryAssignment: method("QueryAssignment"),
    Heartbeat: method("Heartbeat"),
    NotifyClientTermination: method("NotifyClientTermination"),
    SendMessage: method("SendMessage"),
    AckMessage: method("AckMessage"),
    ReceiveMessage: method("ReceiveMessage", { responseStream: true }),
    Telemetry: method("Telemetry", { requestStream: true, responseStream: true }),
  },
  {
    QueryRoute: unary(replies.queryRoute),
    QueryAssignment: unary(() => replies.ok),
    Heartbeat: unary(() => replies.ok),
    NotifyClientTermination: unary(() => replies.ok),
    SendMessage: unary(replies.sendMessage),
    AckMessage: unary(replies.ackMessage),
    ReceiveMessage: (call: ServerWritableStream<Buffer, Buffer>) => {
      for (const message of replies.receiveMessage()) call.write(message);
      call.end();
    },
    Telemetry: (call: ServerDuplexStream<Buffer, Buffer>) => {
      call.on("data", (command: Buffer) => call.write(replies.telemetry(command)));
      call.on("end", () => call.end());
      call.on("error", () => {});
    },
  },
);
process.stdout.write(`${port}\n`);
