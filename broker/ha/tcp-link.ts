// A link over a TCP or TLS socket whose two sides have proved themselves.
import type { Socket } from "node:net";
import { type Clock, limits } from "../../base/index.ts";
import type { Link } from "./network.ts";

/** What a link is made of. */
export interface TcpLinkOptions {
  /** Paused; nothing listens to it. */
  readonly socket: Socket;
  readonly peer: string;
  readonly peerHost: string;
  /** Came behind the handshake. */
  readonly rest: Buffer;
  readonly clock: Clock;
}

/** The machine's link. */
export class TcpLink implements Link {
  readonly peer: string;
  readonly peerHost: string;
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #endListeners: ((reason: string) => void)[] = [];
  #onBytes: ((bytes: Buffer) => void) | undefined;
  #drainWaiters: (() => void)[] = [];
  #isPaused = false;
  #endReason: string | undefined;

  constructor({ socket, peer, peerHost, rest, clock }: TcpLinkOptions) {
    this.peer = peer;
    this.peerHost = peerHost;
    this.#socket = socket;
    this.#clock = clock;
    if (rest.length > 0) socket.unshift(rest);
    socket.on("end", () => {
      this.#finish("the other side closed the connection");
      socket.destroy();
    });
    socket.on("error", (error) => this.#finish(`the connection failed: ${error.message}`));
    socket.on("close", () => this.#finish("the connection is closed"));
  }

  get waitingBytes(): number {
    return this.#socket.writableLength;
  }

  send(bytes: Uint8Array): void {
    if (this.#endReason !== undefined || bytes.length === 0) return;
    // What is sent in one turn goes out in one call of the system.
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    this.#socket.write(bytes, this.#written);
  }

  async drained(): Promise<void> {
    if (this.#isDrained()) return;
    await new Promise<void>((resolve) => this.#drainWaiters.push(resolve));
  }

  onData(listener: (bytes: Buffer) => void): void {
    this.#onBytes = listener;
    this.#socket.on("data", (bytes: Buffer) => this.#onBytes?.(bytes));
    if (!this.#isPaused) this.#socket.resume();
  }

  pause(): void {
    this.#isPaused = true;
    if (this.#endReason === undefined) this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#onBytes !== undefined) this.#socket.resume();
  }

  onEnd(listener: (reason: string) => void): void {
    const reason = this.#endReason;
    if (reason === undefined) this.#endListeners.push(listener);
    else queueMicrotask(() => listener(reason));
  }

  /** What was given to `send` before, as words of farewell, has a moment to go out. */
  close(reason: string): void {
    if (this.#endReason !== undefined) return;
    this.#finish(reason);
    closeGently(this.#socket, this.#clock);
  }

  readonly #written = (): void => {
    if (this.#drainWaiters.length > 0 && this.#isDrained()) this.#wakeWaiters();
  };

  #isDrained(): boolean {
    return this.#endReason !== undefined || this.waitingBytes <= limits.haSendBufferSize / 4;
  }

  #wakeWaiters(): void {
    for (const wake of this.#drainWaiters.splice(0)) wake();
  }

  #finish(reason: string): void {
    if (this.#endReason !== undefined) return;
    this.#endReason = reason;
    this.#onBytes = undefined;
    this.#wakeWaiters();
    for (const listener of this.#endListeners.splice(0)) queueMicrotask(() => listener(reason));
  }
}

/**
 * Closes a socket so that what was written reaches the other side: a socket that is closed with unread bytes resets
 * the connection, and the other side may lose what it has not read yet.
 */
export function closeGently(socket: Socket, clock: Clock): void {
  const cancel = clock.after(limits.haFarewellMs, () => socket.destroy(), { unref: true });
  socket.once("close", cancel);
  // Without an allowance to send, the end would wait for ever; the timer bounds it.
  socket.end();
  socket.resume();
}
