// Looks at a simulated cluster all the time: at what may never be true, not even for a moment.
import type { Store } from "../../broker/store/index.ts";
import { ConfirmedLog } from "./confirmed-log.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** What is known of one machine's log. */
interface Known {
  store: Store;
  /** Its highest confirmed position, also of earlier lives, as long as its disk keeps what it should. */
  confirmed: number;
  losses: number;
  /** Up to where its confirmed bytes have been compared. */
  compared: number;
  /** Up to where it is known to be a prefix of this master's log. */
  prefix: number;
  master: Store | undefined;
}

const compareEveryMs = 40;
const logFolder = "/data/commitlog";

/** The eyes on a world. */
export class Watch {
  readonly log: ConfirmedLog;
  readonly problems: string[];
  readonly #world: World;
  readonly #known = new Map<Machine, Known>();
  /** The process that has ruled in each epoch. */
  readonly #rulers = new Map<number, string>();
  #comparedAtMs = 0;

  constructor(world: World, problems: string[]) {
    this.#world = world;
    this.problems = problems;
    this.log = new ConfirmedLog(problems);
  }

  /** After each thing that happens. */
  look(): void {
    const { machines, time } = this.#world;
    for (const machine of machines) this.#lookAt(machine);
    this.#lookAtRulers();
    if (time.nowMs - this.#comparedAtMs < compareEveryMs) return;
    this.compare();
  }

  /** Compares bytes: what is confirmed with what was, and slaves with their master. */
  compare(): void {
    this.#comparedAtMs = this.#world.time.nowMs;
    if (this.#world.isForgiven) return;
    const ruler = this.#world.machines.find((machine) => machine.local?.canSend === true);
    for (const [machine, known] of this.#known) {
      if (storeOf(machine) !== known.store) continue;
      this.#compareConfirmed(machine, known);
      if (ruler !== undefined && ruler !== machine) this.#comparePrefix(machine, known, ruler);
    }
  }

  /** Up to where, and not beyond `to`, a log is what was confirmed: an acting slave may have what is given up later. */
  commonUpTo(machine: Machine, to: number): number {
    const start = storeOf(machine)?.start ?? 0;
    return this.log.commonUpTo(start, logBytes(machine, start, to));
  }

  #lookAt(machine: Machine): void {
    const store = storeOf(machine);
    if (store === undefined) return;
    const known = this.#knownOf(machine, store);
    known.confirmed = Math.max(known.confirmed, this.#confirmedOf(machine));
    // A slave that was too far behind begins again with a snapshot.
    if (this.#world.isForgiven || this.#world.mode.isRetaining) return;
    if (store.end >= known.confirmed) return;
    this.#say(`${machine.name} had confirmed ${known.confirmed}, and its log ends at ${store.end}`);
    known.confirmed = store.end;
  }

  #knownOf(machine: Machine, store: Store): Known {
    const before = this.#known.get(machine);
    const isSameDisk = before?.losses === machine.losses;
    if (before?.store === store && isSameDisk) return before;
    const known: Known = {
      store,
      confirmed: isSameDisk ? before.confirmed : 0,
      losses: machine.losses,
      compared: 0,
      prefix: 0,
      master: undefined,
    };
    this.#known.set(machine, known);
    return known;
  }

  #lookAtRulers(): void {
    const { machines, isElected } = this.#world;
    let serving = "";
    for (const machine of machines) {
      const { life } = machine;
      const standing = life?.replica?.standing;
      if (standing?.kind !== "master") continue;
      const name = `${machine.name}, life ${life?.number}`;
      const ruler = this.#rulers.get(standing.epoch) ?? name;
      if (ruler !== name) this.#say(`epoch ${standing.epoch} is ruled by ${ruler} and by ${name}`);
      this.#rulers.set(standing.epoch, ruler);
      if (!isElected || machine.local === undefined) continue;
      if (serving !== "") this.#say(`${serving} and ${name} serve at once`);
      serving = name;
    }
  }

  /**
   * Up to where a machine's log is confirmed, as it says itself when it rules, or as who rules has told it. Before a reign
   * is confirmed, its master takes all that it has recovered for confirmed, and nobody is served.
   */
  #confirmedOf({ life }: Machine): number {
    const { replica } = life ?? {};
    const confirmed = replica?.slot.current?.store.confirmed ?? 0;
    if (replica?.standing.kind === "master") return confirmed;
    const { welcome, place } = replica?.slaveLog.word ?? {};
    const master = this.#world.machines.find(
      ({ instanceId }) => instanceId === welcome?.instanceId,
    );
    const isRuled = master?.life?.replica?.standing.kind === "master";
    return isRuled ? Math.min(confirmed, place?.confirmed ?? 0) : 0;
  }

  #compareConfirmed(machine: Machine, known: Known): void {
    const { store } = known;
    const from = Math.max(known.compared, store.start);
    const to = Math.min(this.#confirmedOf(machine), store.written);
    if (to <= from) return;
    known.compared = to;
    if (this.log.take(from, logBytes(machine, from, to))) return;
    this.#say(`${machine.name} has confirmed other bytes in ${from} to ${to} than were confirmed`);
  }

  #comparePrefix(machine: Machine, known: Known, ruler: Machine): void {
    const master = storeOf(ruler);
    const word = machine.life?.replica?.slaveLog.word;
    if (master === undefined || word?.welcome.instanceId !== ruler.instanceId) return;
    if (known.master !== master) Object.assign(known, { master, prefix: 0 });
    const { written } = known.store;
    const from = Math.max(known.prefix, known.store.start, master.start);
    if (written > master.written) {
      return this.#say(`${machine.name} has ${written}, its master ${master.written} bytes`);
    }
    if (written <= from) return;
    known.prefix = written;
    const [one, other] = [logBytes(machine, from, written), logBytes(ruler, from, written)];
    if (!one.equals(other)) {
      this.#say(`${machine.name} is no prefix of ${ruler.name} in ${from} to ${written}`);
    }
  }

  #say(problem: string): void {
    this.problems.push(`${problem}, at ${this.#world.time.nowMs.toFixed(1)} ms`);
  }
}

/** The store of a process, when it has one open. */
export function storeOf(machine: Machine): Store | undefined {
  return machine.life?.replica?.slot.current?.store;
}

/** Bytes `[from, to)` of a log as its files hold them, whatever the disk's pace; fewer where the files have less. */
export function logBytes(machine: Machine, from: number, to: number): Buffer {
  const { disk } = machine;
  const starts = disk
    .paths()
    .filter((path) => path.startsWith(`${logFolder}/`))
    .map((path) => Number(path.slice(logFolder.length + 1)));
  const parts: Buffer[] = [];
  for (const [index, start] of starts.entries()) {
    const end = Math.min(to, starts[index + 1] ?? to);
    if (end <= from || start >= to) continue;
    const path = `${logFolder}/${String(start).padStart(20, "0")}`;
    parts.push(disk.view(path, Math.max(from - start, 0), end - start));
  }
  return Buffer.concat(parts);
}
