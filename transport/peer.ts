// Who is at the other end of a connection, as handlers see it.
import type { Socket } from "node:net";
import type { Connection } from "./types.ts";

/** The addresses are taken when it is made: a closed socket has none. */
export class Peer implements Connection {
  readonly id: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly tls: boolean;
  #controller: AbortController | undefined;
  #closed = false;

  constructor(id: number, socket: Socket, options: { readonly tls: boolean }) {
    this.id = id;
    this.remoteAddress = plainAddress(socket.remoteAddress);
    this.remotePort = socket.remotePort ?? 0;
    this.localAddress = plainAddress(socket.localAddress);
    this.localPort = socket.localPort ?? 0;
    this.tls = options.tls;
  }

  get closed(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#closed) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  /** The socket is gone. */
  close(): void {
    this.#closed = true;
    this.#controller?.abort();
  }
}

/** IPv4 looks like IPv4, also on a socket that takes both kinds. */
function plainAddress(address: string | undefined): string {
  return (address ?? "").replace(/^::ffff:(?=\d+\.)/, "");
}
