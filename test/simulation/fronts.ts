// The fronts of all processes of a simulated cluster, and the calls that they pass on to each other over its network.

import { Forwarder } from "../../broker/cluster/forwarder.ts";
import { type Forward, ForwardFailure, type Headers } from "../../broker/cluster/index.ts";
import type { LocalParts } from "../../broker/remoting/context.ts";
import type { Replica } from "../../broker/replica.ts";
import type { BrokerSeen, TopicHolder } from "../../registrar/index.ts";
import { GrpcStatus } from "../../transport/index.ts";
import { Front } from "./front.ts";
import type { Life, Machine } from "./machine.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { World } from "./world.ts";

/** How long a call takes one way, milliseconds, and when its sender gives up. */
const wayMaxMs = 1;
const giveUpMs = 3_000;
const never = new Promise<never>(() => {});

type Local = NonNullable<Replica["local"]>;

/** What is served by a process, with an ear in between. */
export type Hearing = (front: Front, local: Local) => LocalParts;

/** Where calls of clients arrive. */
export class Fronts {
  /** When a call from one broker to another has last failed, milliseconds. */
  failedAtMs: number = Number.NEGATIVE_INFINITY;
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #hear: Hearing;
  readonly #fronts = new WeakMap<Life, Front>();
  readonly #heard = new WeakMap<Local, LocalParts>();

  constructor(world: World, random: SeededRandom, hear: Hearing) {
    this.#world = world;
    this.#random = random;
    this.#hear = hear;
  }

  /** Processes that clients reach now. */
  awake(): readonly Front[] {
    return this.#world.machines.flatMap((machine) => {
      const front = this.#of(machine);
      return front?.isAwake === true ? [front] : [];
    });
  }

  /** What comes after the way from a client to a process, or back. */
  async way(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#world.clock.after(this.#random.next() * wayMaxMs, resolve);
    });
  }

  /** Rejects when `task` takes longer than anybody waits. */
  async inTime<T>(task: Promise<T>): Promise<T> {
    const late = new Promise<T>((_resolve, reject) => {
      this.#world.clock.after(giveUpMs, () => reject(unreachable("no answer in time")));
    });
    return await Promise.race([task, late]);
  }

  /** A call from the process of `from` to the host that `forward` names, and its answer. */
  async hop(
    from: Machine,
    { address, request, headers }: Forward,
    kind: "sync" | "exchange",
  ): Promise<Uint8Array> {
    const { machines, network } = this.#world;
    const to = machines.find(({ name }) => address.startsWith(`${name}:`));
    const call = async (): Promise<Uint8Array> => {
      await this.way();
      const front = to && this.#of(to);
      if (to === undefined || front === undefined) throw unreachable(`${address} is down`);
      const reaches = (): boolean =>
        network.reaches(from.name, to.name) && network.reaches(to.name, from.name);
      if (!reaches() || !front.isAwake) return await never;
      const answer = await front[kind]({ request, headers, from: from.name });
      await this.way();
      return reaches() && front.isAwake ? answer : await never;
    };
    try {
      return await this.inTime(call());
    } catch (error) {
      this.failedAtMs = this.#world.time.nowMs;
      throw error instanceof ForwardFailure ? error : refused(error);
    }
  }

  #of(machine: Machine): Front | undefined {
    const { life } = machine;
    const replica = life?.replica;
    if (life === undefined || replica === undefined) return undefined;
    const known = this.#fronts.get(life);
    if (known !== undefined) return known;
    const front: Front = new Front(machine, life, replica, {
      forwarder: new SimulatedForwarder(this, machine, life),
      brokers: () => this.#world.machines.flatMap((one) => seen(one) ?? []),
      holders: (topic) => this.#world.machines.flatMap((one) => holding(one, topic) ?? []),
      heard: (local) => {
        const heard = this.#heard.get(local) ?? this.#hear(front, local);
        this.#heard.set(local, heard);
        return heard;
      },
    });
    this.#fronts.set(life, front);
    return front;
  }
}

/** Passes calls on over the simulated network. */
class SimulatedForwarder extends Forwarder {
  readonly #fronts: Fronts;
  readonly #machine: Machine;

  constructor(fronts: Fronts, machine: Machine, { clock }: Life) {
    super({ clock, isTls: false });
    this.#fronts = fronts;
    this.#machine = machine;
  }

  override unary(forward: Forward): Promise<Uint8Array> {
    return this.#fronts.hop(this.#machine, forward, "sync");
  }

  override exchange(forward: Forward): Promise<Uint8Array> {
    return this.#fronts.hop(this.#machine, forward, "exchange");
  }
}

/** The headers of a client. */
export function headersOf(clientId: string): Headers {
  // It tells one broker alone what it wants.
  return { "x-mq-client-id": clientId, "x-mq-language": "PYTHON" };
}

function seen({ name, life }: Machine): BrokerSeen | undefined {
  const replica = life?.replica;
  if (replica === undefined) return undefined;
  const { local } = replica;
  const duty = local === undefined ? "slave" : local.canSend ? "master" : "acting";
  return {
    clusterName: "cluster",
    brokerName: "group",
    brokerId: replica.options.config.values.brokerId,
    duty,
    epoch: local?.store.epoch ?? 0,
    host: name,
    observedHost: name,
    port: 1,
    haAddress: `${name}:100`,
  };
}

function holding(machine: Machine, topic: string): TopicHolder | undefined {
  const broker = seen(machine);
  const config = machine.life?.replica?.local?.metadata.topic(topic);
  if (broker === undefined || config === undefined) return undefined;
  const { name, readQueueNums, writeQueueNums, perm, messageType, order } = config;
  return { ...broker, topic: { name, readQueueNums, writeQueueNums, perm, messageType, order } };
}

function unreachable(why: string): ForwardFailure {
  return new ForwardFailure("unreachable", GrpcStatus.unavailable, why);
}

function refused(error: unknown): ForwardFailure {
  const why = error instanceof Error ? error.message : String(error);
  return new ForwardFailure("refused", GrpcStatus.failedPrecondition, why);
}
