// A network of this machine's own: a bridge, and for each broker a namespace with a wire to it that a test can cut in
// one direction or in both. Needs the right to make namespaces.
import { execFileSync, spawnSync } from "node:child_process";
import type { BrokerPlace } from "./ha-broker.ts";

/** Which packets are lost: those that the broker sends, those that are sent to it, or all. */
export type CutDirection = "from" | "to" | "both";

interface Wire extends BrokerPlace {
  readonly namespace: string;
  /** The end of the wire on this side. */
  readonly near: string;
}

/** An entry of the table of neighbours somewhere. */
interface Way {
  readonly inside: readonly string[];
  readonly device: string;
  readonly host: string;
}

const nobody = "02:00:00:00:00:99";

/** The network; closed by `close`. */
export class BrokerNetwork {
  /** Address of this side, for NameServers and etcd. */
  readonly host: string;
  readonly wires: readonly Wire[];
  readonly #bridge: string;

  private constructor(parts: {
    readonly host: string;
    readonly bridge: string;
    readonly wires: readonly Wire[];
  }) {
    this.host = parts.host;
    this.#bridge = parts.bridge;
    this.wires = parts.wires;
  }

  /** Makes a network with places for `count` brokers; undefined where that is not allowed. */
  static open(count: number): BrokerNetwork | undefined {
    const mark = `cq${process.pid % 100_000}`;
    const subnet = `10.${200 + (process.pid % 50)}.${Math.floor(process.pid / 50) % 250}`;
    const bridge = `${mark}b`;
    if (spawnSync("ip", ["link", "add", bridge, "type", "bridge"]).status !== 0) return undefined;
    const host = `${subnet}.254`;
    const wires = Array.from({ length: count }, (_, index) => ({
      namespace: `${mark}n${index}`,
      near: `${mark}v${index}`,
      host: `${subnet}.${index + 1}`,
      command: ["ip", "netns", "exec", `${mark}n${index}`],
    }));
    const network = new BrokerNetwork({ host, bridge, wires });
    try {
      network.#build();
      return network;
    } catch {
      network.close();
      return undefined;
    }
  }

  /** Loses packets of a broker from now on: they go to a hardware address that nobody has. */
  cut(place: BrokerPlace, direction: CutDirection): void {
    const lost = ["lladdr", nobody, "nud", "permanent"];
    for (const { inside, device, host } of this.#ways(place, direction)) {
      ip(...inside, "ip", "neigh", "replace", host, ...lost, "dev", device);
    }
  }

  /** Loses nothing any more. */
  heal(place: BrokerPlace): void {
    for (const { inside, device, host } of this.#ways(place, "both")) {
      const command = [...inside, "ip", "neigh", "del", host, "dev", device];
      spawnSync(command[0] ?? "ip", command.slice(1));
    }
  }

  close(): void {
    for (const { namespace } of this.wires) spawnSync("ip", ["netns", "del", namespace]);
    spawnSync("ip", ["link", "del", this.#bridge]);
  }

  #build(): void {
    ip("ip", "addr", "add", `${this.host}/24`, "dev", this.#bridge);
    ip("ip", "link", "set", this.#bridge, "up");
    for (const { namespace, near, host } of this.wires) {
      const inside = ["ip", "netns", "exec", namespace];
      ip("ip", "netns", "add", namespace);
      ip(
        ...["ip", "link", "add", near, "type", "veth"],
        ...["peer", "name", "eth0", "netns", namespace],
      );
      ip("ip", "link", "set", near, "master", this.#bridge, "up");
      ip(...inside, "ip", "addr", "add", `${host}/24`, "dev", "eth0");
      ip(...inside, "ip", "link", "set", "eth0", "up");
      ip(...inside, "ip", "link", "set", "lo", "up");
    }
  }

  /** Where packets of a broker are addressed: at itself to the others, at the others to it. */
  #ways(place: BrokerPlace, direction: CutDirection): readonly Way[] {
    const others = this.wires.filter(({ host }) => host !== place.host);
    const from = [this, ...others].map(({ host }) => ({
      inside: place.command,
      device: "eth0",
      host,
    }));
    const { host } = place;
    const to = [
      { inside: [], device: this.#bridge, host },
      ...others.map(({ command }) => ({ inside: command, device: "eth0", host })),
    ];
    return [...(direction === "to" ? [] : from), ...(direction === "from" ? [] : to)];
  }
}

function ip(...command: readonly string[]): void {
  const [program = "ip", ...args] = command;
  execFileSync(program, args, { stdio: "pipe" });
}
