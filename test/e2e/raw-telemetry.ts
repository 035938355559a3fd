// A telemetry stream over plain HTTP/2, for headers that a gRPC library would not let through.
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { messagingService, type rocketmq } from "@cometmq/proto";

const method = messagingService.methods.Telemetry;

/** One open stream. */
export class RawTelemetry {
  readonly commands: rocketmq.v2.TelemetryCommand[] = [];
  /** Resolves with the HTTP status when the head of the answer is there. */
  readonly head: Promise<number>;
  ended = false;
  readonly #session: ClientHttp2Session;
  readonly #stream: ClientHttp2Stream;
  #rest: Buffer = Buffer.alloc(0);

  constructor(endpoints: string, headers: Readonly<Record<string, string>>) {
    this.#session = connect(`http://${endpoints}`);
    this.#session.on("error", () => {});
    this.#stream = this.#session.request({
      ":method": "POST",
      ":path": method.path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    this.#stream.on("error", () => {});
    this.#stream.on("data", (bytes: Buffer) => this.#take(bytes));
    this.#stream.on("close", () => {
      this.ended = true;
    });
    this.head = new Promise((resolve) => {
      this.#stream.on("response", (response) => resolve(Number(response[":status"])));
    });
  }

  say(command: rocketmq.v2.ITelemetryCommand): void {
    const message = method.request.encode(command);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    this.#stream.write(Buffer.concat([prefix, message]));
  }

  close(): void {
    this.#session.destroy();
  }

  #take(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 5) {
      const end = 5 + this.#rest.readUInt32BE(1);
      if (this.#rest.length < end) return;
      this.commands.push(method.response.decode(Uint8Array.from(this.#rest.subarray(5, end))));
      this.#rest = this.#rest.subarray(end);
    }
  }
}
