// A network in memory with named hosts: delays, cuts of one or both ways, killed and paused hosts. Everything happens
// on the clock that is handed in, and every choice comes from the random numbers, so a seed repeats a run.
// Inside a link nothing is reordered, lost or doubled: those are TCP's rules.
import {
  type Address,
  assert,
  type Clock,
  formatAddress,
  type Random,
} from "../../../base/index.ts";
import type { Link, LinkListener, Network } from "../network.ts";
import { failure, SimulatedDial } from "./simulated-dial.ts";
import { SimulatedLink } from "./simulated-link.ts";
import type { DialWires } from "./simulated-wires.ts";

/** How long bytes travel, milliseconds: a random time in between. */
export interface Delay {
  readonly minMs: number;
  readonly maxMs: number;
}

export interface SimulatedNetworkOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Where none is set for two hosts. */
  readonly delay?: Delay;
}

type Accept = (link: Link) => void;

interface Host {
  /** Killed hosts do nothing any more; `silent` ones do not even refuse. */
  state: "running" | "paused" | "dead" | "silent";
  readonly ports: Map<number, Accept>;
  nextPort: number;
  /** Which process it is. */
  life: number;
  /** What a paused process does when it goes on. */
  held: (() => void)[];
}

const firstFreePort = 20_000;
const firstDialPort = 50_000;

/** The wires between hosts. */
export class SimulatedNetwork implements DialWires {
  readonly clock: Clock;
  readonly random: Random;
  readonly #delay: Delay;
  readonly #hosts = new Map<string, Host>();
  readonly #delays = new Map<string, Delay>();
  readonly #cuts = new Set<string>();
  readonly #links = new Set<SimulatedLink>();
  readonly #dials = new Set<SimulatedDial>();
  #nextDialPort = firstDialPort;

  constructor({ clock, random, delay }: SimulatedNetworkOptions) {
    this.clock = clock;
    this.random = random;
    this.#delay = delay ?? { minMs: 0.1, maxMs: 1 };
  }

  /**
   * The network as the process that now runs on this host has it; addresses are names of hosts. Makes the host. When
   * the process has been killed, nothing that it still asks for ever comes back.
   */
  host(name: string): Network {
    const host = this.#hostOf(name);
    const { life } = host;
    const alive = <T>(task: () => Promise<T>): Promise<T> =>
      host.life === life ? task() : new Promise(() => {});
    return {
      connect: (address, signal) => alive(() => this.#connect(name, address, signal)),
      listen: (place, accept) => alive(() => this.#listen(name, place.port, accept)),
    };
  }

  /** What is sent from one to the other takes this long from now on. */
  setDelay(from: string, to: string, delay: Delay): void {
    this.#delays.set(wire(from, to), delay);
  }

  /** Nothing that `from` sends reaches `to`; the other way goes on. Links stay open until a side gives up. */
  cut(from: string, to: string): void {
    this.#cuts.add(wire(from, to));
  }

  cutBoth(one: string, other: string): void {
    this.cut(one, other);
    this.cut(other, one);
  }

  /** Links that had something to say meanwhile go on, as TCP sends again, or are reset: chance decides. */
  heal(from: string, to: string): void {
    if (!this.#cuts.delete(wire(from, to))) return;
    for (const link of this.#links) {
      if (link.host === to && link.otherHost === from) link.hearReset();
      if (link.host !== from || link.otherHost !== to || !link.hasHeldBack) continue;
      if (this.random.next() < 0.5) link.goOn();
      else link.reset("the connection was reset after a cut");
    }
  }

  healBoth(one: string, other: string): void {
    this.heal(one, other);
    this.heal(other, one);
  }

  healAll(): void {
    for (const cut of this.#cuts) {
      const [from = "", to = ""] = cut.split(" > ");
      this.heal(from, to);
    }
  }

  /**
   * The process of a host is gone: nothing of it is called any more. `reset`: its system says so to the other sides;
   * `silent`: the machine is gone as well, and they have to find out.
   */
  kill(name: string, how: "reset" | "silent"): void {
    const host = this.#hostOf(name);
    host.state = how === "reset" ? "dead" : "silent";
    host.ports.clear();
    host.life += 1;
    host.held = [];
    for (const dial of this.#dials) if (dial.from === name) dial.forget();
    for (const link of this.#links) {
      if (link.host === name) link.die(how);
    }
  }

  /** The host is there again, with a fresh process: nobody listens yet. Old links are reset when they are used. */
  revive(name: string): void {
    const host = this.#hostOf(name);
    host.state = "running";
    for (const link of this.#links) {
      if (link.otherHost === name && link.hasHeldBack) link.goOn();
    }
  }

  /** The process of a host stands still: its system takes bytes for it, and it gets them when it goes on. */
  pause(name: string): void {
    const host = this.#hostOf(name);
    assert(host.state === "running", `${name} is ${host.state}`);
    host.state = "paused";
  }

  resume(name: string): void {
    const host = this.#hostOf(name);
    assert(host.state === "paused", `${name} is ${host.state}`);
    host.state = "running";
    for (const task of host.held.splice(0)) this.clock.after(0, task);
    for (const link of this.#links) if (link.otherHost === name) link.goOn();
    for (const dial of this.#dials) if (dial.to === name) dial.goOn();
  }

  reaches(from: string, to: string): boolean {
    return !this.#cuts.has(wire(from, to)) && this.#hostOf(to).state !== "silent";
  }

  isRunning(name: string): boolean {
    return this.#hostOf(name).state === "running";
  }

  whenRunning(name: string, task: () => void): void {
    const host = this.#hostOf(name);
    if (host.state === "running") task();
    else if (host.state === "paused") host.held.push(task);
  }

  delayMs(from: string, to: string): number {
    const { minMs, maxMs } = this.#delays.get(wire(from, to)) ?? this.#delay;
    return minMs + this.random.next() * (maxMs - minMs);
  }

  accepting(to: Address): Accept | undefined {
    return this.#hostOf(to.host).ports.get(to.port);
  }

  join(from: string, to: Address): readonly [SimulatedLink, SimulatedLink] {
    this.#nextDialPort += 1;
    const port = this.#nextDialPort;
    const dialler = new SimulatedLink(this, {
      host: from,
      otherHost: to.host,
      peer: formatAddress(to),
    });
    const acceptor = new SimulatedLink(this, {
      host: to.host,
      otherHost: from,
      peer: formatAddress({ host: from, port }),
    });
    dialler.other = acceptor;
    acceptor.other = dialler;
    this.#links.add(dialler).add(acceptor);
    return [dialler, acceptor];
  }

  forget(link: Link): void {
    if (link instanceof SimulatedLink) this.#links.delete(link);
  }

  async #connect(from: string, to: Address, signal?: AbortSignal): Promise<Link> {
    if (!this.#hosts.has(to.host)) throw failure(to, "no such host");
    const dial = new SimulatedDial(this, from, to);
    this.#dials.add(dial);
    try {
      return await dial.link(signal);
    } finally {
      this.#dials.delete(dial);
    }
  }

  async #listen(name: string, wanted: number, accept: Accept): Promise<LinkListener> {
    const host = this.#hostOf(name);
    const port = wanted === 0 ? host.nextPort : wanted;
    if (wanted === 0) host.nextPort += 1;
    if (host.ports.has(port))
      throw failure({ host: name, port }, "the port is in use", "BAD_CONFIG");
    host.ports.set(port, accept);
    return {
      port,
      close: async () => {
        if (host.ports.get(port) === accept) host.ports.delete(port);
      },
    };
  }

  #hostOf(name: string): Host {
    let host = this.#hosts.get(name);
    if (host === undefined) {
      host = { state: "running", ports: new Map(), nextPort: firstFreePort, life: 1, held: [] };
      this.#hosts.set(name, host);
    }
    return host;
  }
}

function wire(from: string, to: string): string {
  return `${from} > ${to}`;
}
