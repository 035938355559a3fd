// Passes a client's call on to the broker that owns what it is about, bytes in and bytes out. The owner sees the
// client's headers and deadline; a client that ends its call ends it there too.
import { type Clock, limits, MqError } from "../../base/index.ts";
import {
  callStream,
  callUnary,
  type DialledConnection,
  GrpcStatus,
  RpcError,
  type ServerStream,
} from "../../transport/index.ts";
import { BrokerConnections } from "./broker-connections.ts";
import { forwardFailure } from "./forward-failure.ts";
import type { Headers } from "./hop.ts";

/** What the forwarder stands on. */
export interface ForwarderOptions {
  readonly clock: Clock;
  /** Whether other brokers are dialled over TLS. */
  readonly isTls: boolean;
  /** Calls that are passed on at a time; `limits.forwardedCallsMax` by default. */
  readonly callCountMax?: number | undefined;
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

/** Calls to other brokers. */
export class Forwarder {
  readonly #connections: BrokerConnections;
  /** Ends of streams that are passed on now and of whose answer nothing has been handed on yet. */
  readonly #streams = new Map<() => void, string>();
  readonly #callCountMax: number;
  #callCount = 0;
  /** Calls passed on since the start. */
  total = 0;

  constructor(options: ForwarderOptions) {
    this.#connections = new BrokerConnections(options);
    this.#callCountMax = options.callCountMax ?? limits.forwardedCallsMax;
  }

  /** Passes a unary call on and gives the answer. Throws ForwardFailure, TOO_MANY_REQUESTS. */
  async unary(forward: Forward): Promise<Uint8Array> {
    const connection = this.#begin(forward);
    try {
      return await callUnary(connection, {
        ...forward,
        timeoutMs: timeoutOf(forward, unaryTimeoutMs),
      });
    } catch (error) {
      throw forwardFailure(error, forward.address);
    } finally {
      this.#callCount -= 1;
    }
  }

  /**
   * Passes a call on that is answered with a stream, and hands each message to the client; the client's stream is left
   * to be finished. Throws ForwardFailure, TOO_MANY_REQUESTS; what was handed on before stays so.
   */
  async stream(forward: Forward, client: Pick<ServerStream, "write" | "drained">): Promise<void> {
    const connection = this.#begin(forward);
    const controller = new AbortController();
    const cancel = (): void => controller.abort();
    this.#streams.set(cancel, forward.clientId);
    forward.signal.addEventListener("abort", cancel, { once: true });
    if (forward.signal.aborted) cancel();
    const { signal } = controller;
    const timeoutMs = timeoutOf(forward, limits.pollingMaxMs + unaryTimeoutMs);
    try {
      for await (const message of callStream(connection, { ...forward, signal, timeoutMs })) {
        this.#streams.delete(cancel);
        if (!client.write(message)) await client.drained();
      }
    } catch (error) {
      throw forwardFailure(error, forward.address);
    } finally {
      forward.signal.removeEventListener("abort", cancel);
      this.#streams.delete(cancel);
      this.#callCount -= 1;
    }
  }

  /** Sends one message on a stream of both ways, and gives the first that comes back. Throws as `unary`. */
  async exchange(forward: Forward): Promise<Uint8Array> {
    const connection = this.#begin(forward);
    const options = { ...forward, timeoutMs: exchangeTimeoutMs, isOpenEnded: true };
    try {
      for await (const message of callStream(connection, options)) return message;
      throw new RpcError(GrpcStatus.unavailable, "no answer");
    } catch (error) {
      throw forwardFailure(error, forward.address);
    } finally {
      this.#callCount -= 1;
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

  #begin({ address, clientId }: Forward): DialledConnection {
    if (this.#callCount >= this.#callCountMax) {
      throw new MqError(
        "TOO_MANY_REQUESTS",
        `${this.#callCount} calls are being passed on to other brokers already`,
      );
    }
    this.#callCount += 1;
    this.total += 1;
    return this.#connections.to(address, clientId);
  }
}

function timeoutOf({ remainingMs }: Forward, defaultMs: number): number {
  const leftMs = remainingMs - limits.answerHeadroomMs;
  return Number.isFinite(leftMs) ? Math.max(1, leftMs) : defaultMs;
}

/** Of a call whose client set no deadline. */
const unaryTimeoutMs = 30_000;
const exchangeTimeoutMs = 3_000;
