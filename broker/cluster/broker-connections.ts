// Connections to other brokers, opened when first needed and closed when long unused.
import { type CancelTimer, type Clock, limits } from "../../base/index.ts";
import { type DialledConnection, GrpcClient } from "../../transport/index.ts";

/** What the pool needs. */
export interface BrokerConnectionsOptions {
  readonly clock: Clock;
  /** Whether other brokers are dialled over TLS. Their certificates are not checked: they may be self-signed. */
  readonly isTls: boolean;
}

interface Connection {
  readonly dialled: DialledConnection;
  usedAtMs: number;
}

/** The pool of one broker. */
export class BrokerConnections {
  readonly #options: BrokerConnectionsOptions;
  readonly #client: GrpcClient;
  /** By address and number. */
  readonly #connections = new Map<string, Connection>();
  readonly #stopSweep: CancelTimer;

  constructor(options: BrokerConnectionsOptions) {
    this.#options = options;
    this.#client = new GrpcClient({
      clock: options.clock,
      onUnusable: (connection) => this.#drop(connection),
    });
    this.#stopSweep = options.clock.every(sweepPeriodMs, () => this.#sweep());
  }

  /**
   * A connection to `address`. Calls of one client take the same one, so that the owner meets them on one connection
   * and in their order, as long as that has room for them.
   */
  to(address: string, clientId: string): DialledConnection {
    let number = numberOf(clientId);
    for (;;) {
      const connection = this.#connection(`${address} ${number}`, address);
      if (connection.dialled.callCount < connectionCallsMax) {
        connection.usedAtMs = this.#options.clock.monotonicMs();
        return connection.dialled;
      }
      number += limits.forwardConnectionsMax;
    }
  }

  /** Closes all; calls under way fail. */
  close(): void {
    this.#stopSweep();
    this.#client.close();
  }

  #connection(key: string, address: string): Connection {
    let connection = this.#connections.get(key);
    if (connection === undefined) {
      const colon = address.lastIndexOf(":");
      const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
      const port = Number(address.slice(colon + 1));
      const dialled = this.#client.dial({ host, port, isTls: this.#options.isTls });
      connection = { dialled, usedAtMs: 0 };
      this.#connections.set(key, connection);
    }
    return connection;
  }

  #drop(dialled: DialledConnection): void {
    for (const [key, connection] of this.#connections) {
      if (connection.dialled === dialled) this.#connections.delete(key);
    }
  }

  #sweep(): void {
    const oldestMs = this.#options.clock.monotonicMs() - limits.forwardIdleMs;
    for (const { dialled, usedAtMs } of this.#connections.values()) {
      if (dialled.callCount === 0 && usedAtMs <= oldestMs) dialled.close();
    }
  }
}

const sweepPeriodMs = 60_000;
/** A broker takes some more on one connection (`concurrentStreamsMax`). */
const connectionCallsMax = 8_000;

function numberOf(clientId: string): number {
  let hash = 0;
  for (let index = 0; index < clientId.length; index++) {
    hash = (Math.imul(hash, 31) + clientId.charCodeAt(index)) | 0;
  }
  return (hash >>> 0) % limits.forwardConnectionsMax;
}
