// What links and dials of the simulated network ask of it.
import type { Address, Clock, Random } from "../../../base/index.ts";
import type { Link } from "../network.ts";

/** The wires and hosts, as a link sees them. */
export interface Wires {
  readonly clock: Clock;
  readonly random: Random;
  /** Whether something that arrives now gets through. */
  reaches(from: string, to: string): boolean;
  /** Whether the process of a host takes what has reached it. */
  isRunning(name: string): boolean;
  /** Does it now, or when a paused process goes on, or never when it is dead. */
  whenRunning(name: string, task: () => void): void;
  /** How long something takes, milliseconds. */
  delayMs(from: string, to: string): number;
  /** Both ends are over. */
  forget(link: Link): void;
}

/** The wires and hosts, as somebody who dials sees them. */
export interface DialWires extends Wires {
  /** What is done with a new link at this port; undefined when nobody listens. */
  accepting(to: Address): ((link: Link) => void) | undefined;
  /** Both ends of a new link: that of the one who dials, and the other. */
  join(from: string, to: Address): readonly [Link, Link];
}
