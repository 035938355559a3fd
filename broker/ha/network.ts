// Connections between brokers as replication sees them: bytes in order, both ways, until one side is gone.
// The machine's network is tcp-network.ts; simulation has one of its own.
import type { Address } from "../../base/index.ts";

/** A connection to another broker. Both sides have proved that they belong to the cluster. */
export interface Link {
  /** `host:port` of the other side, for logs. */
  readonly peer: string;
  /** Host of the other side as this one sees it. */
  readonly peerHost: string;
  /** Bytes handed to `send` and not taken by the system yet; also after the end, while they may still go out. */
  readonly waitingBytes: number;
  /** Sends bytes, which must not change while they wait. After the end it does nothing. */
  send(bytes: Uint8Array): void;
  /** Resolves when little waits to be sent, or the link has ended. */
  drained(): Promise<void>;
  /** Calls `listener` with what comes, in order; the bytes are good while it runs. What came before is kept. One listener. */
  onData(listener: (bytes: Buffer) => void): void;
  /** Takes no more bytes off the network until `resume`: the other side's sends stall. */
  pause(): void;
  resume(): void;
  /** Calls `listener` once when the link has ended, also when it has ended before, and says why. */
  onEnd(listener: (reason: string) => void): void;
  /** Ends the link at once. What was sent shortly before, as words of farewell, has a moment to get there; or is lost. */
  close(reason: string): void;
}

/** An open port for other brokers. */
export interface LinkListener {
  readonly port: number;
  /** Takes no more links; those that are open stay. */
  close(): Promise<void>;
}

/** Makes and takes links. */
export interface Network {
  /** Dials. Rejects when nobody answers in time, or the other side is not of this cluster. */
  connect(address: Address, signal?: AbortSignal): Promise<Link>;
  /** Throws BAD_CONFIG when the address cannot be had. */
  listen(
    place: { readonly host: string; readonly port: number },
    accept: (link: Link) => void,
  ): Promise<LinkListener>;
}
