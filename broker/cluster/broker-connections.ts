// Connections to other brokers, opened when first needed and closed when long unused. The gRPC client takes time and
// memory to load, so it is loaded with the first of them.
import type * as Grpc from "@grpc/grpc-js";
import { type CancelTimer, type Clock, limits } from "../../base/index.ts";

type GrpcModule = Pick<typeof Grpc, "Client" | "Metadata" | "credentials">;

interface Connection {
  readonly client: Grpc.Client;
  usedAtMs: number;
  callCount: number;
}

/** A connection lent for one call. */
export interface LentConnection {
  readonly client: Grpc.Client;
  readonly grpc: GrpcModule;
  /** Gives it back; to be called once. */
  release(): void;
}

/** What the pool needs. */
export interface BrokerConnectionsOptions {
  readonly clock: Clock;
  /** Whether other brokers are dialled over TLS. Their certificates are not checked: they may be self-signed. */
  readonly isTls: boolean;
}

/** The pool of one broker. */
export class BrokerConnections {
  readonly #options: BrokerConnectionsOptions;
  /** By address and number. */
  readonly #connections = new Map<string, Connection>();
  #grpc: Promise<GrpcModule> | undefined;
  #loaded: GrpcModule | undefined;
  #stopSweep: CancelTimer | undefined;
  #isClosed = false;

  constructor(options: BrokerConnectionsOptions) {
    this.#options = options;
  }

  /**
   * Lends a connection to `address`. Calls of one client take the same one, so that the owner meets them on one
   * connection and in their order.
   */
  async lend(address: string, clientId: string): Promise<LentConnection> {
    const grpc = this.#loaded ?? (await this.#load());
    const key = `${address} ${numberOf(clientId)}`;
    let connection = this.#connections.get(key);
    if (connection === undefined) {
      const client = this.#dial(grpc, address);
      connection = { client, usedAtMs: 0, callCount: 0 };
      if (this.#isClosed) client.close();
      else this.#connections.set(key, connection);
    }
    const lent = connection;
    lent.callCount += 1;
    return {
      client: lent.client,
      grpc,
      release: () => {
        lent.callCount -= 1;
        lent.usedAtMs = this.#options.clock.monotonicMs();
      },
    };
  }

  /** Closes all; calls under way fail. */
  close(): void {
    this.#isClosed = true;
    this.#stopSweep?.();
    for (const { client } of this.#connections.values()) client.close();
    this.#connections.clear();
  }

  async #load(): Promise<GrpcModule> {
    // Named one by one, because the package is CommonJS.
    this.#grpc ??= import("@grpc/grpc-js").then(({ Client, Metadata, credentials }) => ({
      Client,
      Metadata,
      credentials,
    }));
    this.#loaded = await this.#grpc;
    if (!this.#isClosed) {
      this.#stopSweep ??= this.#options.clock.every(sweepPeriodMs, () => this.#sweep());
    }
    return this.#loaded;
  }

  #dial({ Client, credentials }: GrpcModule, address: string): Grpc.Client {
    const trust = this.#options.isTls
      ? credentials.createSsl(null, null, null, {
          rejectUnauthorized: false,
          checkServerIdentity: () => undefined,
        })
      : credentials.createInsecure();
    return new Client(address, trust, {
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_retries": 0,
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
      "grpc.initial_reconnect_backoff_ms": limits.nameServerRetryMinMs,
      "grpc.max_reconnect_backoff_ms": limits.nameServerRetryMaxMs,
      "grpc.keepalive_time_ms": keepAliveMs,
      "grpc.keepalive_timeout_ms": keepAliveMs,
    });
  }

  #sweep(): void {
    const oldestMs = this.#options.clock.monotonicMs() - limits.forwardIdleMs;
    for (const [key, connection] of this.#connections) {
      if (connection.callCount > 0 || connection.usedAtMs > oldestMs) continue;
      connection.client.close();
      this.#connections.delete(key);
    }
  }
}

const sweepPeriodMs = 60_000;
/** A broker that does not answer a ping for so long is not there. */
const keepAliveMs = 5_000;

function numberOf(clientId: string): number {
  let hash = 0;
  for (let index = 0; index < clientId.length; index++) {
    hash = (Math.imul(hash, 31) + clientId.charCodeAt(index)) | 0;
  }
  return (hash >>> 0) % limits.forwardConnectionsMax;
}
