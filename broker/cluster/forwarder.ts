// Passes a client's call on to the broker that owns what it is about, bytes in and bytes out. The owner sees the
// client's headers and deadline; a client that ends its call ends it there too.
import type * as Grpc from "@grpc/grpc-js";
import { type Clock, limits, MqError } from "../../base/index.ts";
import { GrpcStatus, type ServerStream } from "../../transport/index.ts";
import { BrokerConnections, type LentConnection } from "./broker-connections.ts";
import { ForwardFailure, forwardFailure } from "./forward-failure.ts";
import type { Headers } from "./hop.ts";

/** What the forwarder stands on. */
export interface ForwarderOptions {
  readonly clock: Clock;
  /** Whether other brokers are dialled over TLS. */
  readonly isTls: boolean;
}

/** A call to pass on. */
export interface Forward {
  /** `host:port` of the broker. */
  readonly address: string;
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Not changed and not freed until the call is over. */
  readonly request: Uint8Array;
  /** Those of the client, and what `passedHeaders` adds. */
  readonly headers: Headers;
  readonly clientId: string;
  /** Time to the client's deadline; Infinity without one. */
  readonly remainingMs: number;
  /** The client has ended its call. */
  readonly signal: AbortSignal;
}

type Call = Pick<Grpc.ClientUnaryCall, "cancel">;
type Callback = (error: Grpc.ServiceError | null, answer?: Buffer) => void;

const same = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const asIs = (bytes: Buffer): Buffer => bytes;

/** Calls to other brokers. */
export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #connections: BrokerConnections;
  /** Ends of streams that are passed on now and of whose answer nothing has been handed on yet. */
  readonly #streams = new Map<() => void, string>();
  #callCount = 0;
  /** Calls passed on since the start. */
  total = 0;

  constructor(options: ForwarderOptions) {
    this.#options = options;
    this.#connections = new BrokerConnections(options);
  }

  /** Passes a unary call on and gives the answer. Throws ForwardFailure, TOO_MANY_REQUESTS. */
  async unary(forward: Forward): Promise<Uint8Array> {
    const lent = await this.#begin(forward);
    const { signal } = forward;
    let cancel: (() => void) | undefined;
    try {
      return await new Promise<Uint8Array>((resolve, reject) => {
        const call: Call = lent.client.makeUnaryRequest(
          forward.path,
          same,
          asIs,
          forward.request,
          this.#metadata(lent, forward),
          this.#deadline(forward, unaryTimeoutMs),
          ((error, answer) => {
            if (error === null && answer !== undefined) resolve(answer);
            else reject(forwardFailure(error, forward.address));
          }) satisfies Callback,
        );
        cancel = () => call.cancel();
        if (signal.aborted) cancel();
        else signal.addEventListener("abort", cancel, { once: true });
      });
    } finally {
      if (cancel !== undefined) signal.removeEventListener("abort", cancel);
      this.#end(lent);
    }
  }

  /**
   * Passes a call on that is answered with a stream, and hands each message to the client; the client's stream is left
   * to be finished. Throws ForwardFailure, TOO_MANY_REQUESTS; what was handed on before stays so.
   */
  async stream(forward: Forward, client: Pick<ServerStream, "write" | "drained">): Promise<void> {
    const { address, signal, clientId } = forward;
    const lent = await this.#begin(forward);
    const call = lent.client.makeServerStreamRequest(
      forward.path,
      same,
      asIs,
      forward.request,
      this.#metadata(lent, forward),
      this.#deadline(forward, limits.pollingMaxMs + unaryTimeoutMs),
    );
    const cancel = (): void => call.cancel();
    this.#streams.set(cancel, clientId);
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel, { once: true });
    try {
      for await (const message of call as AsyncIterable<Buffer>) {
        this.#streams.delete(cancel);
        if (!client.write(message)) await client.drained();
      }
    } catch (error) {
      throw forwardFailure(error, address);
    } finally {
      signal.removeEventListener("abort", cancel);
      this.#streams.delete(cancel);
      this.#end(lent);
    }
  }

  /** Sends one message on a stream of both ways, and gives the first that comes back. Throws as `unary`. */
  async exchange(forward: Forward): Promise<Uint8Array> {
    const lent = await this.#begin(forward);
    const call: Grpc.ClientDuplexStream<Uint8Array, Buffer> = lent.client.makeBidiStreamRequest(
      forward.path,
      same,
      asIs,
      this.#metadata(lent, forward),
      { deadline: this.#options.clock.now() + exchangeTimeoutMs },
    );
    try {
      call.write(forward.request);
      for await (const message of call as AsyncIterable<Buffer>) return message;
      throw new ForwardFailure(
        "unreachable",
        GrpcStatus.unavailable,
        `broker ${forward.address}: no answer`,
      );
    } catch (error) {
      throw error instanceof ForwardFailure ? error : forwardFailure(error, forward.address);
    } finally {
      call.on("error", () => {});
      call.cancel();
      this.#end(lent);
    }
  }

  /** Ends the streams of one client or of all that are still without any answer. */
  endStreams(clientId?: string): void {
    for (const [cancel, id] of this.#streams)
      if (clientId === undefined || clientId === id) cancel();
  }

  /** Closes all connections; calls under way fail. */
  close(): void {
    this.endStreams();
    this.#connections.close();
  }

  async #begin({ address, clientId }: Forward): Promise<LentConnection> {
    if (this.#callCount >= limits.forwardedCallsMax) {
      throw new MqError(
        "TOO_MANY_REQUESTS",
        `${this.#callCount} calls are being passed on to other brokers already`,
      );
    }
    this.#callCount += 1;
    this.total += 1;
    try {
      return await this.#connections.lend(address, clientId);
    } catch (error) {
      this.#callCount -= 1;
      throw error;
    }
  }

  #end(lent: LentConnection): void {
    this.#callCount -= 1;
    lent.release();
  }

  #metadata({ grpc }: LentConnection, { headers }: Forward): Grpc.Metadata {
    const metadata = new grpc.Metadata();
    for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
    return metadata;
  }

  #deadline({ remainingMs }: Forward, defaultMs: number): { deadline: number } {
    const leftMs = remainingMs - limits.answerHeadroomMs;
    const timeoutMs = Number.isFinite(leftMs) ? Math.max(1, leftMs) : defaultMs;
    return { deadline: this.#options.clock.now() + timeoutMs };
  }
}

/** Of a call whose client set no deadline. */
const unaryTimeoutMs = 30_000;
const exchangeTimeoutMs = 3_000;
