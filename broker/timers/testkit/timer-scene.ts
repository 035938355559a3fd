// Timers on a log and a state in memory, with what a sender and a consumer see of them.
import { rocketmq } from "@cometmq/proto";
import { HeldScene, heldMessage } from "../../held/testkit/held-scene.ts";
import type { StoreOptions } from "../../store/index.ts";
import type { SimulatedDisk } from "../../store/testkit/simulated-disk.ts";
import { Timers } from "../timers.ts";

/** What a sender has of a delayed message. */
export interface Sent {
  readonly text: string;
  readonly dueMs: number;
  readonly handle: string;
}

/** One broker with timers. */
export class TimerScene {
  readonly scene: HeldScene;
  readonly windowMax: number | undefined;
  pendingMax = 1_000_000;
  /** How late each message was. */
  readonly lateness: number[] = [];
  timers: Timers;

  private constructor(scene: HeldScene, windowMax: number | undefined) {
    this.scene = scene;
    this.windowMax = windowMax;
    this.timers = this.#open();
  }

  static async open(
    options: { readonly windowMax?: number; readonly store?: Partial<StoreOptions> } = {},
    disk?: SimulatedDisk,
  ): Promise<TimerScene> {
    return new TimerScene(await HeldScene.open(options.store, disk), options.windowMax);
  }

  /** New timers over a scene that was started again. */
  static over({ scene, windowMax }: TimerScene): TimerScene {
    return new TimerScene(scene, windowMax);
  }

  get nowMs(): number {
    return this.scene.clock.now();
  }

  /** Sends a message that is due at `dueMs`. */
  async send(
    text: string,
    dueMs: number,
    given: { readonly queueId?: number; readonly messageGroupHash?: number } = {},
  ): Promise<Sent> {
    const [sent] = await this.sendAll([text], dueMs, given);
    if (sent === undefined) throw new Error("nothing was sent");
    return sent;
  }

  /** Sends messages that are due at `dueMs`, as one group. */
  async sendAll(
    texts: readonly string[],
    dueMs: number,
    given: { readonly queueId?: number; readonly messageGroupHash?: number } = {},
  ): Promise<Sent[]> {
    const drafts = texts.map((text) => {
      const properties = rocketmq.v2.SystemProperties.encode({ messageId: `id of ${text}` });
      return heldMessage(text, { dueMs, systemProperties: properties.finish(), ...given });
    });
    this.timers.admit(drafts.length);
    const appended = await this.scene.store.send(drafts);
    this.timers.settled(drafts.length, "stored");
    return texts.map((text, index) => {
      const handle = this.timers.handleOf("t", dueMs, appended[index]?.position ?? -1);
      return { text, dueMs, handle };
    });
  }

  /** What has been delivered to queue 0. */
  delivered(): Promise<string[]> {
    return this.scene.queue();
  }

  /** How many messages have been delivered to queue 0. */
  get deliveredCount(): number {
    return this.scene.store.queue("t", 0)?.endOffset ?? 0;
  }

  /** Stops and starts again. */
  async restart(loses = false): Promise<void> {
    await this.timers.close();
    await this.scene.restart(loses);
    this.timers = this.#open();
  }

  /** The process is gone: gives the next one, whose timers run. */
  async killed(loses = false): Promise<TimerScene> {
    const next = await (await this.scene.killed(loses)).started();
    return new TimerScene(next, this.windowMax);
  }

  async stop(): Promise<void> {
    await this.timers.close();
    await this.scene.stop();
  }

  #open(): Timers {
    const { held, state, clock, logger } = this.scene;
    return Timers.open({
      held,
      metadata: state.metadata,
      clock,
      logger,
      brokerName: "broker-a",
      pendingMax: () => this.pendingMax,
      queueOfGroup: (hash, queueCount) => hash % queueCount,
      released: (latenessMs) => this.lateness.push(latenessMs),
      ...(this.windowMax === undefined ? {} : { windowMax: this.windowMax }),
    });
  }
}
