// A client of an exclusive group in a simulated cluster: says what it wants to the one broker that it knows, which tells
// the others, and hears there on its telemetry stream what it has lost.
import { Code, messagingService, rocketmq } from "@cometmq/proto";
import type { TestBidi } from "../../broker/remoting/testkit/index.ts";
import { type Front, liteSettings } from "./front.ts";
import { type Fronts, headersOf } from "./fronts.ts";
import type { LiteClient } from "./lite-wishes.ts";
import { liteTopic } from "./names.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { World } from "./world.ts";

const { SyncLiteSubscription, Telemetry } = messagingService.methods;
const { LiteSubscriptionAction } = rocketmq.v2;

const sayEveryMs = 120;
/** One of so many times it goes to another broker. */
const moveOfMany = 25;
/** What it says, each as often as it stands here. */
const changes = ["set", "add", "add", "add", "remove", "nothing", "nothing"] as const;

type Change = Exclude<(typeof changes)[number], "nothing">;

const actions = {
  set: LiteSubscriptionAction.COMPLETE_ADD,
  add: LiteSubscriptionAction.PARTIAL_ADD,
  remove: LiteSubscriptionAction.PARTIAL_REMOVE,
} as const;

/** What a consumer stands on. */
export interface ExclusiveConsumerParts {
  readonly world: World;
  readonly fronts: Fronts;
  readonly random: SeededRandom;
  readonly group: string;
}

/** A client, from its first word to the end of the simulation. */
export class ExclusiveConsumer {
  readonly client: LiteClient;
  /** The process that has its telemetry stream and takes its calls. */
  home: Front | undefined;
  readonly #parts: ExclusiveConsumerParts;
  /** What it believes to have. */
  readonly #names = new Set<string>();
  /** When it was last told that it has lost a lite topic, milliseconds. */
  readonly #toldAtMs = new Map<string, number>();
  #stream: TestBidi | undefined;
  #version = 0;
  #isSaying = false;
  /** A new process knows nothing of it. */
  #mustSayAll = true;
  #isOver = false;

  constructor(client: LiteClient, parts: ExclusiveConsumerParts) {
    this.client = client;
    this.#parts = parts;
    this.#live();
  }

  stop(): void {
    this.#isOver = true;
  }

  /** When it was last told that another one has taken the lite topic, milliseconds. */
  toldAtMs(name: string): number {
    return this.#toldAtMs.get(name) ?? Number.NEGATIVE_INFINITY;
  }

  #live(): void {
    if (this.#isOver) return;
    const { world, random } = this.#parts;
    world.clock.after(1 + random.next() * 2 * sayEveryMs, () => this.#live());
    if (this.#isSaying) return;
    this.#isSaying = true;
    const isSaid = (): void => {
      this.#isSaying = false;
    };
    this.#say().then(isSaid, () => {
      isSaid();
      this.#mustSayAll = true;
    });
  }

  async #say(): Promise<void> {
    const { random } = this.#parts;
    if (this.home?.isAwake !== true || random.below(moveOfMany) === 0) this.#move();
    const { home } = this;
    const change = this.#mustSayAll ? "set" : random.pick(changes);
    if (home === undefined || change === "nothing") return;
    const names = this.#namesOf(change);
    if (names.length === 0 && change !== "set") return;
    this.#mustSayAll = false;
    await this.#tell(home, change, names);
    // As the SDK: what it has lost meanwhile the next whole set tells it again.
    for (const name of names) {
      if (change === "add") this.#names.add(name);
      if (change === "remove") this.#names.delete(name);
    }
  }

  #namesOf(change: Change): readonly string[] {
    const { random } = this.#parts;
    if (change === "set") return [...this.#names];
    const { wanted } = this.client;
    const fitting = wanted.filter((name) => this.#names.has(name) === (change === "remove"));
    return fitting.length === 0 ? [] : [random.pick(fitting)];
  }

  /** Rejects when it is not taken, or not answered. */
  async #tell(home: Front, change: Change, names: readonly string[]): Promise<void> {
    const { fronts, group } = this.#parts;
    this.#version += 1;
    const request = SyncLiteSubscription.request.encode({
      action: actions[change],
      topic: { name: liteTopic },
      group: { name: group },
      liteTopicSet: [...names],
      version: this.#version,
    });
    const { id } = this.client;
    const call = async (): Promise<Uint8Array> => {
      await fronts.way();
      if (!home.isAwake) throw new Error("its process is gone");
      const answer = await home.sync({ request, headers: headersOf(id), from: id });
      await fronts.way();
      return answer;
    };
    const { status } = SyncLiteSubscription.response.decode(await fronts.inTime(call()));
    if (status?.code !== Code.OK) throw new Error(status?.message);
  }

  #move(): void {
    const { fronts, random, group } = this.#parts;
    this.#stream?.hangUp();
    this.#stream = undefined;
    this.home = undefined;
    const awake = fronts.awake();
    if (awake.length === 0) return;
    const home = random.pick(awake);
    this.home = home;
    this.#mustSayAll = true;
    const { id } = this.client;
    const call = { request: liteSettings(group, liteTopic), headers: headersOf(id), from: id };
    this.#stream = home.talk(call, {
      told: (command) => void this.#hear(home, command),
      ended: () => {
        if (this.home === home) this.home = undefined;
      },
    });
  }

  async #hear(from: Front, command: Uint8Array): Promise<void> {
    const { fronts, world } = this.#parts;
    await fronts.way();
    if (this.home !== from || !from.isAwake) return;
    const lost = Telemetry.response.decode(command).notifyUnsubscribeLiteCommand?.liteTopic;
    if (lost === undefined) return;
    world.trace(`${this.client.id} is told at ${from.machine.name} that it has lost ${lost}`);
    this.#names.delete(lost);
    this.#toldAtMs.set(lost, world.time.nowMs);
  }
}
