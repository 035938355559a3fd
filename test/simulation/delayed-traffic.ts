// Clients of a simulated cluster that send delayed messages and call some of them back, and what they were told.
import { MqError } from "../../base/index.ts";
import { RecordType } from "../../broker/store/index.ts";
import { type AckedDelayed, type DelayedPromises, delayedTopic } from "./delayed-log.ts";
import { noteFailure, type ServingPlace, servingPlace } from "./place.ts";
import type { World } from "./world.ts";

const nothing = new Uint8Array(0);
const sendEveryMs = 60;
const delayMaxMs = 3_000;
/** One of so many is called back. */
const recalledOfMany = 4;

/** Sends and recalls, at whoever serves. */
export class DelayedTraffic implements DelayedPromises {
  readonly acked: Map<string, AckedDelayed> = new Map();
  readonly recalled: Set<string> = new Set();
  readonly doubtful: Set<string> = new Set();
  readonly #world: World;
  readonly #problems: string[];
  #sent = 0;
  #isSending = true;

  constructor(world: World, problems: string[]) {
    this.#world = world;
    this.#problems = problems;
    this.#send();
  }

  stopSending(): void {
    this.#isSending = false;
  }

  #serving(): ServingPlace | undefined {
    const { machines, random } = this.#world;
    return servingPlace(machines, random, ({ timers }) => timers !== undefined);
  }

  #send(): void {
    if (!this.#isSending) return;
    const { random, clock } = this.#world;
    clock.after(1 + random.next() * (2 * sendEveryMs - 2), () => this.#send());
    const place = this.#serving();
    if (place === undefined) return;
    this.#sendTo(place).catch((error: unknown) => noteFailure(this.#problems, error));
  }

  async #sendTo({ machine, local }: ServingPlace): Promise<void> {
    const { metadata, store, timers } = local;
    if (metadata.topic(delayedTopic) === undefined) {
      await metadata.ensureTopic({ name: delayedTopic, readQueueNums: 1, messageType: "DELAY" });
      return;
    }
    const { random, clock, mode } = this.#world;
    this.#sent += 1;
    const nowMs = machine.life?.clock.now() ?? 0;
    const dueMs = Math.floor(nowMs + random.next() * delayMaxMs);
    const text = `delayed ${this.#sent} due ${dueMs}`;
    const { epoch } = store;
    const [appended] = await store.send([
      {
        type: RecordType.delayedMessage,
        topic: delayedTopic,
        queueId: 0,
        systemProperties: nothing,
        userProperties: nothing,
        body: Buffer.from(text.padEnd(mode.isRetaining ? 700 : 120)),
        dueMs,
      },
    ]);
    const handle = timers?.handleOf(delayedTopic, dueMs, appended?.position ?? -1) ?? "";
    this.acked.set(text, { brokerId: machine.id, epoch, handle });
    if (this.#sent % recalledOfMany !== 0) return;
    clock.after(random.next() * delayMaxMs, () => {
      this.#recall(text, handle).catch((error: unknown) => noteFailure(this.#problems, error));
    });
  }

  async #recall(text: string, handle: string): Promise<void> {
    const place = this.#serving();
    if (place === undefined) return;
    // A process that dies meanwhile says nothing, and may have done it.
    this.doubtful.add(text);
    try {
      await place.local.timers?.recall(delayedTopic, handle);
      this.recalled.add(text);
      this.doubtful.delete(text);
    } catch (error) {
      if (!(error instanceof MqError) || error.code !== "MESSAGE_NOT_FOUND") throw error;
      this.doubtful.delete(text);
    }
  }
}
