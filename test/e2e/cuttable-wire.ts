// A TCP forwarder that a test can cut: what a client sees and leaves behind when its machine goes dark.
import { connect, createServer, type Socket } from "node:net";

/** Forwards connections to a port until it is cut. */
export interface CuttableWire {
  readonly endpoints: string;
  /** Destroys all connections and takes no new ones. */
  cut(): void;
}

/** Opens one to `port` of this machine. */
export async function openWire(port: number): Promise<CuttableWire> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on("error", () => to.destroy());
      from.on("close", () => to.destroy());
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    endpoints: `127.0.0.1:${address.port}`,
    cut: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
