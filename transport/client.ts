// Makes calls to gRPC servers: what its connections share, and their housekeeping.
import {
  type CancelTimer,
  type Clock,
  type TransportLimits,
  transportLimits,
} from "../base/index.ts";
import { DeadlineWheel } from "./deadline-wheel.ts";
import { DialledConnection, type DialledContext, type DialTarget } from "./dialled-connection.ts";
import { Frame } from "./frame-splitter.ts";
import { HeaderList } from "./hpack-decoder.ts";
import { FlushQueue } from "./sender.ts";

/** What a client stands on. */
export interface GrpcClientOptions {
  readonly clock: Clock;
  readonly limits?: Partial<TransportLimits>;
  /** No new call may begin on the connection; told once of each. */
  readonly onUnusable: (connection: DialledConnection) => void;
}

const housekeepingMs = 1_000;

/** Dials servers. */
export class GrpcClient {
  readonly #clock: Clock;
  readonly #context: DialledContext;
  readonly #wheel: DeadlineWheel;
  readonly #connections = new Set<DialledConnection>();
  #cancelHousekeeping: CancelTimer | undefined;

  constructor({ clock, limits, onUnusable }: GrpcClientOptions) {
    const all = { ...transportLimits, ...limits };
    this.#clock = clock;
    this.#wheel = new DeadlineWheel(clock);
    this.#context = {
      limits: all,
      clock,
      wheel: this.#wheel,
      monotonicMs: () => clock.monotonicMs(),
      flushQueue: new FlushQueue(),
      frame: new Frame(),
      list: new HeaderList(all.headerListSizeMax),
      methods: new Map(),
      onUnusable,
      onClosed: (connection) => this.#connections.delete(connection),
    };
  }

  /** A connection on which calls may begin at once; whether it comes about, they will tell. */
  dial(target: DialTarget): DialledConnection {
    const connection = new DialledConnection(target, this.#context);
    this.#connections.add(connection);
    this.#cancelHousekeeping ??= this.#clock.every(housekeepingMs, () => this.#tick());
    return connection;
  }

  /** Closes all connections; calls under way end with UNAVAILABLE. */
  close(): void {
    this.#cancelHousekeeping?.();
    for (const connection of this.#connections) connection.close();
    this.#wheel.close();
  }

  #tick(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const connection of this.#connections) connection.tick(nowMs);
  }
}
