// Clients of an exclusive group in a simulated cluster: of these one at most has a lite topic, and who loses it is told.
import type { LiteLoss, LiteSync } from "../../broker/delivery/index.ts";
import { liteModelKey } from "../../broker/metadata/index.ts";
import type { LocalParts } from "../../broker/remoting/context.ts";
import type { Replica } from "../../broker/replica.ts";
import { ExclusiveConsumer } from "./exclusive-consumer.ts";
import type { Front } from "./front.ts";
import { Fronts } from "./fronts.ts";
import { LiteOwners } from "./lite-owners.ts";
import type { LiteClient, LiteWishes } from "./lite-wishes.ts";
import type { ServingPlace } from "./place.ts";
import type { World } from "./world.ts";

type Local = NonNullable<Replica["local"]>;

/** Between a loss and the word of it, two ways, milliseconds. */
const toldWithinMs = 10;

/** The wishes of an exclusive group. */
export class ExclusiveWishes implements LiteWishes {
  readonly attributes: Readonly<Record<string, string>> = { [liteModelKey]: "Exclusive" };
  readonly #world: World;
  readonly #problems: string[];
  readonly #fronts: Fronts;
  readonly #owners = new LiteOwners();
  readonly #consumers: readonly ExclusiveConsumer[];
  /** Through which process each broker has heard of a client last. */
  readonly #via = new WeakMap<object, Map<string, Front | undefined>>();

  constructor(
    world: World,
    problems: string[],
    group: { readonly name: string; readonly clients: readonly LiteClient[] },
  ) {
    this.#world = world;
    this.#problems = problems;
    const random = world.forked("exclusive lite topics");
    this.#fronts = new Fronts(world, random, (front, local) => this.#heard(front, local));
    const parts = { world, random, fronts: this.#fronts, group: group.name };
    this.#consumers = group.clients.map((client) => new ExclusiveConsumer(client, parts));
  }

  /** They say by themselves what they want. */
  async say(): Promise<void> {}

  objection({ id }: LiteClient, { local }: ServingPlace, name: string): string | undefined {
    const { nowMs } = this.#world.time;
    const may = this.#owners.mayGive(local.delivery, { clientId: id, name }, nowMs);
    return may ? undefined : "which does not have it, or has lost it";
  }

  stop(): void {
    for (const consumer of this.#consumers) consumer.stop();
  }

  /** What a broker serves, with an ear for what it is told of lite topics. */
  #heard(front: Front, local: Local): LocalParts {
    const lite = {
      topics: local.delivery.lite.topics,
      sync: (wish: LiteSync) => this.#sync(front, local, wish),
    };
    const delivery = new Proxy<LocalParts["delivery"]>(local.delivery, {
      get: (target, name) => {
        if (name === "lite") return lite;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    return { ...local, delivery };
  }

  async #sync(front: Front, { delivery }: Local, wish: LiteSync): Promise<readonly LiteLoss[]> {
    const { clientId } = wish;
    const via = this.#via.get(delivery) ?? new Map<string, Front | undefined>();
    this.#via.set(delivery, via.set(clientId, this.#consumer(clientId)?.home));
    const { nowMs } = this.#world.time;
    const expected = this.#owners.take(delivery, wish, nowMs);
    const losses = await delivery.lite.sync(wish);
    if (textOf(losses) !== textOf(expected)) {
      this.#problems.push(
        `${front.machine.name} says at ${nowMs} that "${textOf(losses)}" is lost, and it is "${textOf(expected)}"`,
      );
    }
    for (const loss of losses) this.#expectTold(loss, { front, via: via.get(loss.clientId) });
    return losses;
  }

  /** Who has lost a lite topic is told, unless something comes in between. */
  #expectTold(
    { clientId, name }: LiteLoss,
    { front, via }: { readonly front: Front; readonly via: Front | undefined },
  ): void {
    const { time, clock } = this.#world;
    const consumer = this.#consumer(clientId);
    if (consumer === undefined || via === undefined) return;
    const sinceMs = time.nowMs;
    const pauses = pausesOf(front, via);
    clock.after(toldWithinMs, () => {
      const isSame = consumer.home === via && via.isAwake && front.isAwake;
      if (!isSame || pausesOf(front, via) !== pauses || this.#fronts.failedAtMs >= sinceMs) return;
      // A notice that does not arrive fails later.
      if (!this.#reaches(front, via)) return;
      if (consumer.toldAtMs(name) >= sinceMs) return;
      this.#problems.push(
        `${clientId}, at ${via.machine.name}, has lost ${name} at ${front.machine.name} at ${sinceMs}, and is not told`,
      );
    });
  }

  #reaches({ machine: from }: Front, { machine: to }: Front): boolean {
    const { network } = this.#world;
    if (from === to) return true;
    return network.reaches(from.name, to.name) && network.reaches(to.name, from.name);
  }

  #consumer(clientId: string): ExclusiveConsumer | undefined {
    return this.#consumers.find(({ client }) => client.id === clientId);
  }
}

function textOf(losses: readonly LiteLoss[]): string {
  return losses.map(({ clientId, name }) => `${name} of ${clientId}`).join(", ");
}

function pausesOf(one: Front, other: Front): number {
  return one.machine.pauses + other.machine.pauses;
}
