// A log with a state and its held messages, on a disk in memory: can be killed, and opened again.
import { MqError, silentLogger, systemRandom } from "../../../base/index.ts";
import { type HeldEntry, StateStore } from "../../metadata/index.ts";
import { MemorySource } from "../../metadata/testkit/memory-source.ts";
import { type RecordDraft, RecordType, Store, type StoreOptions } from "../../store/index.ts";
import { ManualClock } from "../../store/testkit/manual-clock.ts";
import { MemoryLogger, readQueue, until } from "../../store/testkit/open-store.ts";
import { SimulatedDisk } from "../../store/testkit/simulated-disk.ts";
import { carryHeld } from "../carry.ts";
import { HeldMessages } from "../held-messages.ts";

const nothing = new Uint8Array(0);

/** A message of topic `t` as it is held. */
export function heldMessage(text: string, given: Partial<RecordDraft>): RecordDraft {
  return {
    type: RecordType.delayedMessage,
    topic: "t",
    queueId: 0,
    systemProperties: nothing,
    userProperties: nothing,
    body: Buffer.from(text),
    ...given,
  };
}

/** One broker's log and state. */
export class HeldScene {
  readonly logger: MemoryLogger = new MemoryLogger();
  readonly disk: SimulatedDisk;
  readonly options: Partial<StoreOptions>;
  clock: ManualClock = new ManualClock();
  #source = new MemorySource();
  #store: Store | undefined;
  #state: StateStore | undefined;
  #held: HeldMessages | undefined;

  private constructor(disk: SimulatedDisk, options: Partial<StoreOptions>) {
    this.disk = disk;
    this.options = options;
  }

  /** Opens one with topic `t`. */
  static async open(
    options: Partial<StoreOptions> = {},
    disk: SimulatedDisk = new SimulatedDisk(),
  ): Promise<HeldScene> {
    const scene = new HeldScene(disk, options);
    await scene.start();
    if (scene.state.metadata.topic("t") === undefined) {
      await scene.state.metadata.updateTopic({ name: "t", readQueueNums: 1, messageType: "MIXED" });
    }
    return scene;
  }

  get store(): Store {
    return required(this.#store);
  }

  get state(): StateStore {
    return required(this.#state);
  }

  get held(): HeldMessages {
    return required(this.#held);
  }

  /** This scene, started. */
  async started(): Promise<this> {
    await this.start();
    return this;
  }

  async start(): Promise<void> {
    const { clock, disk, logger } = this;
    const common = { clock, disk, logger, folder: "/data", ...this.options };
    const store = await Store.open(common);
    const database = this.#source;
    const parts = { database, store, clock, random: systemRandom, logger: silentLogger };
    const state = await StateStore.open(parts);
    const held = new HeldMessages({ state: state.held, store, clock, logger });
    store.restoreQueues(state.queueBounds());
    store.onExpire = {
      snapshot: async (below) => {
        await carryHeld(held, below);
        return await state.snapshot();
      },
    };
    await store.begin();
    await state.begin();
    this.#store = store;
    this.#state = state;
    this.#held = held;
  }

  async stop(): Promise<void> {
    this.held.close();
    await this.state.close();
    await this.store.close();
  }

  /** The process is gone, and what it had not written; gives what a next one finds. `loses`: the state's database too. */
  async killed(loses = false): Promise<HeldScene> {
    this.disk.kill();
    this.held.close();
    const next = new HeldScene(this.disk, this.options);
    next.clock.jump(this.clock.now() - next.clock.now());
    if (!loses) next.#source = await MemorySource.of(await this.#source.content());
    return next;
  }

  /** Stops and starts again; `loses`: without the state's database. */
  async restart(loses = false): Promise<void> {
    await this.stop();
    if (loses) this.#source = new MemorySource();
    await this.start();
  }

  /** Holds a message; gives its entry when it is applied. */
  async hold(text: string, dueMs: number, given: Partial<RecordDraft> = {}): Promise<HeldEntry> {
    const draft = heldMessage(text, { dueMs, ...given });
    const [appended] = await this.store.append([draft]);
    const kind = draft.type === RecordType.halfMessage ? "half" : "timer";
    const id = appended?.position ?? -1;
    const entry = await this.state.held.find({ kind, dueMs, id });
    if (entry === undefined) throw new MqError("INTERNAL_SERVER_ERROR", "it is not held");
    return entry;
  }

  /** All that is held, kind by kind, in order. */
  async all(): Promise<HeldEntry[]> {
    const found: HeldEntry[] = [];
    for await (const entries of this.state.held.scan()) found.push(...entries);
    return found;
  }

  /** What stands in the record of a held message. */
  async textOf(entry: HeldEntry): Promise<string | undefined> {
    const [record] = await this.store.readCold([entry]);
    if (record === undefined || record.topic !== entry.topic) return undefined;
    return Buffer.from(record.body).toString();
  }

  /** Bodies of the messages in queue 0 of a topic. */
  queue(topic = "t"): Promise<string[]> {
    return readQueue(this.store, topic);
  }

  /** Moves time bit by bit, and lets everything happen in between. */
  async pass(ms: number, stepMs = 10): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.clock.pass(Math.min(stepMs, left));
      await settled();
    }
  }

  /** Moves time until the condition holds. */
  async until(condition: () => boolean): Promise<void> {
    for (let turn = 0; turn < 5_000 && !condition(); turn++) await this.pass(5, 5);
    await until(condition);
  }
}

/** Lets what is under way in memory come to an end. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("the scene is not open");
  return value;
}
