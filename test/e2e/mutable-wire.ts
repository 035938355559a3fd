// A TCP forwarder that can keep back what the server says: requests arrive, answers do not.
import { connect, createServer, type Socket } from "node:net";

/** Forwards connections to a port of this machine. */
export interface MutableWire {
  readonly endpoints: string;
  /** Keeps back all that the server says from now on, over the connections that there are. */
  mute(): void;
  /** Cuts the connections that there are; new ones work as usual. */
  cut(): void;
  close(): void;
}

/** Opens one to `port`. */
export async function openMutableWire(port: number): Promise<MutableWire> {
  const sockets = new Set<Socket>();
  const muted = new WeakSet<Socket>();
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    near.pipe(far);
    far.on("data", (bytes) => {
      if (!muted.has(far)) near.write(bytes);
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    endpoints: `127.0.0.1:${address.port}`,
    mute: () => {
      for (const socket of sockets) muted.add(socket);
    },
    cut,
    close: () => {
      server.close();
      cut();
    },
  };
}
