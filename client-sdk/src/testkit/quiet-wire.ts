// A TCP forwarder that a test can silence: connections stay open, new ones are taken, and nothing passes. What a
// client sees of a machine that is gone without a word, or of a stopped process. For tests only.
import { connect, createServer, type Server, type Socket } from "node:net";

/** Forwards connections to a port. */
export class QuietWire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isQuiet = false;
  port = 0;

  private constructor(target: number) {
    this.#server = createServer((near) => {
      const far = connect(target, "127.0.0.1");
      this.#forward(near, far);
      this.#forward(far, near);
    });
  }

  static async open(target: number): Promise<QuietWire> {
    const wire = new QuietWire(target);
    await new Promise<void>((resolve) => wire.#server.listen(0, "127.0.0.1", resolve));
    const address = wire.#server.address();
    wire.port = typeof address === "object" && address !== null ? address.port : 0;
    return wire;
  }

  get endpoints(): string {
    return `127.0.0.1:${this.port}`;
  }

  #forward(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("data", (bytes) => {
      if (!this.#isQuiet) to.write(bytes);
    });
    from.on("error", () => from.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
  }

  /** Lets nothing pass any more. What is lost meanwhile stays lost. */
  silence(): void {
    this.#isQuiet = true;
  }

  /** Lets new connections work again; those that were silenced end. */
  restore(): void {
    this.#isQuiet = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
