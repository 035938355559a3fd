// A network inside the process, for tests: links that deliver in later turns, and can be cut.
import { type Address, MqError } from "../../base/index.ts";
import type { Link, LinkListener, Network } from "../ha/index.ts";

class LoopLink implements Link {
  readonly peerHost = "loop";
  readonly peer: string;
  readonly #kept: Buffer[] = [];
  other: LoopLink | undefined;
  waitingBytes = 0;
  #listener: ((bytes: Buffer) => void) | undefined;
  #endListeners: ((reason: string) => void)[] = [];
  #endReason: string | undefined;
  #isPaused = false;

  constructor(peer: string) {
    this.peer = peer;
  }

  send(bytes: Uint8Array): void {
    const copy = Buffer.from(bytes);
    setImmediate(() => this.other?.take(copy));
  }

  async drained(): Promise<void> {}

  onData(listener: (bytes: Buffer) => void): void {
    this.#listener = listener;
    this.#flow();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#flow();
  }

  onEnd(listener: (reason: string) => void): void {
    if (this.#endReason === undefined) this.#endListeners.push(listener);
    else listener(this.#endReason);
  }

  close(reason: string): void {
    this.end(reason);
    const { other } = this;
    setImmediate(() => other?.end("closed by the other side"));
  }

  take(bytes: Buffer): void {
    if (this.#endReason !== undefined) return;
    this.#kept.push(bytes);
    this.#flow();
  }

  end(reason: string): void {
    if (this.#endReason !== undefined) return;
    this.#endReason = reason;
    for (const listener of this.#endListeners.splice(0)) listener(reason);
  }

  #flow(): void {
    while (!this.#isPaused && this.#listener !== undefined) {
      const bytes = this.#kept.shift();
      if (bytes === undefined) return;
      this.#listener(bytes);
    }
  }
}

/** Ports by number; every host is this process. */
export class LoopNetwork implements Network {
  readonly #ports = new Map<number, (link: Link) => void>();
  readonly #links = new Map<LoopLink, number>();
  #nextPort = 1;

  async connect(address: Address): Promise<Link> {
    const accept = this.#ports.get(address.port);
    if (accept === undefined) {
      throw new MqError("HA_NOT_AVAILABLE", `nobody listens at port ${address.port}`);
    }
    const near = new LoopLink(`${address.host}:${address.port}`);
    const far = new LoopLink("dialler");
    near.other = far;
    far.other = near;
    this.#links.set(near, address.port);
    setImmediate(() => accept(far));
    return near;
  }

  async listen(
    place: { readonly host: string; readonly port: number },
    accept: (link: Link) => void,
  ): Promise<LinkListener> {
    const port = place.port === 0 ? this.#nextPort++ : place.port;
    this.#nextPort = Math.max(this.#nextPort, port + 1);
    this.#ports.set(port, accept);
    return { port, close: async () => void this.#ports.delete(port) };
  }

  /** The network as one process has it, until that is killed: then nothing it asks for comes back, and others lose it. */
  process(): { readonly network: Network; kill(): void } {
    const own = new Set<Link>();
    const ports: number[] = [];
    let isAlive = true;
    const network: Network = {
      connect: async (address) => {
        if (!isAlive) return await new Promise<Link>(() => {});
        const link = await this.connect(address);
        own.add(link);
        return link;
      },
      listen: async (place, accept) => {
        const listener = await this.listen(place, accept);
        ports.push(listener.port);
        return listener;
      },
    };
    const kill = (): void => {
      isAlive = false;
      for (const port of ports) this.kill(port);
      for (const link of own) link.close("killed");
    };
    return { network, kill };
  }

  /** Ends all links that were dialled to `port`. */
  cut(port: number): void {
    for (const [link, to] of this.#links) if (to === port) link.close("cut");
  }

  /** Nobody can be reached at `port` any more, and who is connected there loses the link. */
  kill(port: number): void {
    this.#ports.delete(port);
    this.cut(port);
  }
}
