// What goes wrong in a simulated cluster: chosen by the seed, and undone after a while.
import { background, MqError } from "../../base/index.ts";
import { systemError } from "../../broker/store/testkit/simulated-disk.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** A kind of fault: does its harm, and gives what undoes it. */
type Fault = (world: World, machine: Machine) => () => void;

const faults: Readonly<Record<string, Fault>> = {
  kill: (_world, machine) => {
    machine.kill();
    return () => startAgain(machine);
  },
  stop: (_world, machine) => {
    background(machine.stop());
    return () => {
      // Whoever stops a broker waits a while, and kills it then.
      machine.resume();
      machine.kill();
      machine.start();
    };
  },
  handOver: (world) => {
    const ruler = world.machines.find(({ local }) => local?.canSend === true);
    const target = world.random.pick(world.machines).id;
    const handingOver = ruler?.life?.role?.handOver(target).catch((error: unknown) => {
      if (!(error instanceof MqError)) throw error;
      world.trace(`not handed over to ${target}: ${error.message}`);
    });
    if (handingOver !== undefined) background(handingOver);
    return () => {};
  },
  powerCut: (_world, machine) => {
    machine.cutPower();
    return () => startAgain(machine);
  },
  blackout: (world) => {
    if (!world.isFlushing) world.isForgiven = true;
    for (const machine of world.machines) machine.cutPower();
    return () => {
      for (const machine of world.machines) {
        world.clock.after(world.random.next() * 2_000, () => startAgain(machine));
      }
    };
  },
  pause: (_world, machine) => {
    machine.pause();
    return () => machine.resume();
  },
  cut: (world, machine) => {
    const other = otherThan(world, machine);
    world.network.cutBoth(machine.name, other.name);
    return () => world.network.healBoth(machine.name, other.name);
  },
  cutOneWay: (world, machine) => {
    const other = otherThan(world, machine);
    const [from, to] = world.random.next() < 0.5 ? [machine, other] : [other, machine];
    world.network.cut(from.name, to.name);
    return () => world.network.heal(from.name, to.name);
  },
  isolate: (world, machine) => {
    const others = world.machines.filter((other) => other !== machine);
    for (const other of others) world.network.cutBoth(machine.name, other.name);
    const way = world.random.pick(["requests", "answers", "both"] as const);
    if (world.isElected) world.etcd.cut(machine.name, way);
    return () => {
      for (const other of others) world.network.healBoth(machine.name, other.name);
      world.etcd.heal(machine.name);
    };
  },
  slowLink: (world, machine) => {
    const other = otherThan(world, machine);
    const delay = { minMs: 20, maxMs: 400 };
    world.network.setDelay(machine.name, other.name, delay);
    return () => world.network.setDelay(machine.name, other.name, { minMs: 0.1, maxMs: 1 });
  },
  etcdDown: (world) => {
    world.etcd.down = true;
    return () => {
      world.etcd.down = false;
    };
  },
  etcdCut: (world, machine) => {
    world.etcd.cut(machine.name, world.random.pick(["requests", "answers", "both"] as const));
    return () => world.etcd.heal(machine.name);
  },
  diskStall: (world, machine) => {
    machine.disk.onOperation = ({ kind }) =>
      kind === "datasync" || kind === "write"
        ? new Promise((resolve) => {
            world.clock.after(50 + world.random.next() * 500, resolve);
          })
        : undefined;
    return () => {
      machine.disk.onOperation = undefined;
    };
  },
  diskFails: (_world, machine) => {
    machine.disk.onOperation = ({ kind, path }) => {
      if (kind === "write" || kind === "datasync") throw systemError("EIO", `broken: ${path}`);
    };
    return () => replaceBroken(machine);
  },
  diskUnreadable: (_world, machine) => {
    machine.disk.onOperation = ({ kind, path }) => {
      if (kind === "read") throw systemError("EIO", `broken: ${path}`);
    };
    return () => replaceBroken(machine);
  },
  diskFull: (world, machine) => {
    machine.disk.capacityBytes = 0;
    return () => {
      machine.disk.capacityBytes = world.capacityBytes;
      startAgain(machine);
    };
  },
};

/** These leave brokers, their disks and what is between them alone. */
const mildFaults: ReadonlySet<string> = new Set(["etcdDown", "etcdCut", "handOver"]);

/** Faults that a group survives because the other brokers have it all: nothing else goes wrong meanwhile. */
const lonelyFaults: Readonly<Record<string, Fault>> = {
  lonelyPowerCut: faults["powerCut"] ?? (() => () => {}),
  newDisk: (_world, machine) => {
    machine.replaceDisk();
    return () => startAgain(machine);
  },
  /** It is back, and empty, before the others can be elected. */
  newDiskFirst: (world, machine) => {
    const others = world.machines.filter((other) => other !== machine);
    machine.replaceDisk();
    machine.start();
    for (const other of others) world.etcd.cut(other.name, "both");
    return () => {
      for (const other of others) world.etcd.heal(other.name);
    };
  },
};

/** Kinds that a world may meet: what its mode promises nothing for is left out. */
function possibleFaults({ mode, isFlushing }: World): readonly string[] {
  const { isElected } = mode;
  const kinds = Object.keys(faults).filter((name) => {
    if (name.startsWith("etcd") || name === "handOver") return isElected;
    // Fixed roles cannot tell a shorter master from another one: an operator has to, when a slave is away.
    if (name === "blackout") return isFlushing || isElected;
    return name !== "powerCut" || isFlushing;
  });
  const lonely = Object.keys(lonelyFaults).filter((name) => name !== "newDiskFirst" || isElected);
  return [...kinds, ...lonely];
}

/** Machines that may lose what is not on other disks. */
function mayLose({ mode, machines }: World): readonly Machine[] {
  const isHeldTwice = mode.isElected || mode.role === "SYNC_MASTER";
  return isHeldTwice ? machines : machines.slice(1);
}

/** Does harm for a while, one fault after another and some at once. Everything is undone by `heal`. */
export class Faults {
  readonly counts: Map<string, number> = new Map();
  readonly #world: World;
  readonly #kinds: readonly string[];
  readonly #undo = new Set<() => void>();
  /** Those of them that are not mild. */
  #harshCount = 0;
  #isOver = false;
  #isLonely = false;

  constructor(world: World) {
    this.#world = world;
    this.#kinds = possibleFaults(world);
    this.#next();
  }

  /** Undoes what is not undone yet; nothing more goes wrong. */
  heal(): void {
    this.#isOver = true;
    this.#world.isHealed = true;
    for (const undo of this.#undo) undo();
    this.#undo.clear();
    this.#world.network.healAll();
    for (const machine of this.#world.machines) {
      machine.disk.capacityBytes = this.#world.capacityBytes;
      startAgain(machine);
    }
  }

  #next(): void {
    const { random, clock } = this.#world;
    clock.after(100 + random.next() * 1_500, () => {
      if (this.#isOver) return;
      this.#happen();
      this.#next();
    });
  }

  #happen(): void {
    const { random, clock, machines } = this.#world;
    if (this.#isLonely) return;
    const name = random.pick(this.#kinds);
    const isLonely = name in lonelyFaults;
    const machine = random.pick(isLonely ? mayLose(this.#world) : machines);
    if (isLonely && !this.#isWhole()) return;
    this.#isLonely = isLonely;
    const lastsMs = 50 + random.next() ** 2 * 6_000;
    this.#world.trace(`FAULT ${name} at ${machine.name} for ${Math.round(lastsMs)} ms`);
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    if (name.startsWith("disk")) machine.diskTroubleAtMs = Infinity;
    const undo = (faults[name] ?? lonelyFaults[name])?.(this.#world, machine);
    if (undo === undefined) return;
    const isMild = mildFaults.has(name);
    if (!isMild) this.#harsh(1);
    const once = (): void => {
      if (!this.#undo.delete(once)) return;
      if (!isMild) this.#harsh(-1);
      this.#world.trace(`healed ${name} at ${machine.name}`);
      undo();
      if (name.startsWith("disk")) machine.diskTroubleAtMs = this.#world.time.nowMs;
      if (isLonely) this.#endLonely();
    };
    this.#undo.add(once);
    clock.after(lastsMs, once);
  }

  #harsh(count: number): void {
    this.#harshCount += count;
    this.#world.troubleAtMs = this.#harshCount > 0 ? Infinity : this.#world.time.nowMs;
  }

  /** Whether nothing is wrong now, and the master counts on every slave, as etcd knows too: else nobody else can be elected. */
  #isWhole(): boolean {
    const { machines, isElected, etcd } = this.#world;
    const ruler = machines.find(({ local }) => local?.canSend === true);
    if (this.#undo.size > 0 || ruler === undefined) return false;
    const known = new Set(etcd.peek().record?.value.inSync);
    return machines.every(({ id, life }) => {
      if (life === undefined || life.isPaused || (isElected && !known.has(id))) return false;
      return ruler.id === id || ruler.life?.replica?.isInSync(isElected ? id : id - 1) === true;
    });
  }

  /** Other things may go wrong again when the master is back and its slaves follow it. */
  #endLonely(): void {
    if (this.#isWhole()) this.#isLonely = false;
    else this.#world.clock.after(100, () => this.#endLonely());
  }
}

function startAgain(machine: Machine): void {
  machine.resume();
  if (machine.life === undefined) machine.start();
}

/** A store that has failed takes nothing until a restart. */
function replaceBroken(machine: Machine): void {
  machine.disk.onOperation = undefined;
  machine.resume();
  machine.kill();
  machine.start();
}

function otherThan(world: World, machine: Machine): Machine {
  return world.random.pick(world.machines.filter((other) => other !== machine));
}
