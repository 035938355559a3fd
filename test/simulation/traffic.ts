// The clients of a simulated cluster: one that sends and one that consumes, at whoever serves, and what they were told.
import { MqError } from "../../base/index.ts";
import { parseFilter } from "../../broker/delivery/index.ts";
import type { Replica } from "../../broker/replica.ts";
import { RecordType } from "../../broker/store/index.ts";
import type { Machine } from "./machine.ts";
import type { World } from "./world.ts";

/** An acknowledged message. */
export interface Acked {
  readonly atMs: number;
  readonly brokerId: number;
  readonly epoch: number;
}

/** A message that a consumer has been given. */
export interface Seen {
  readonly body: string;
  readonly queueId: number;
  readonly offset: number;
}

const nothing = new Uint8Array(0);
const queueCount = 2;

/** Clients, and what they know. */
export class Traffic {
  readonly acked: Map<string, Acked> = new Map();
  readonly seen: Map<string, Seen> = new Map();
  /** When a consumer was told that its acknowledgement counts. */
  readonly consumed: Map<string, number> = new Map();
  /** What was delivered although it had been acknowledged. */
  readonly again: { readonly body: string; readonly ackedAtMs: number; readonly atMs: number }[] =
    [];
  /** The broker that has acknowledged in each epoch. */
  readonly rulers: Map<number, number> = new Map();
  readonly faults: string[] = [];
  readonly #world: World;
  #sent = 0;
  #isStopped = false;

  constructor(world: World) {
    this.#world = world;
    this.#send();
    this.#receive();
  }

  stop(): void {
    this.#isStopped = true;
  }

  #serving(
    needsSend: boolean,
  ): { machine: Machine; local: NonNullable<Replica["local"]> } | undefined {
    const serving = this.#world.machines.flatMap((machine) => {
      const { local } = machine;
      return local === undefined || (needsSend && !local.canSend) ? [] : [{ machine, local }];
    });
    return serving.length === 0 ? undefined : this.#world.random.pick(serving);
  }

  #send(): void {
    if (this.#isStopped) return;
    const { random, clock } = this.#world;
    clock.after(1 + random.next() * 12, () => this.#send());
    const place = this.#serving(true);
    if (place !== undefined)
      this.#sendTo(place.machine, place.local).catch((error: unknown) => this.#note(error));
  }

  async #sendTo(machine: Machine, local: NonNullable<Replica["local"]>): Promise<void> {
    const { time } = this.#world;
    if (local.metadata.topic("t") === undefined) {
      await local.metadata.ensureTopic({
        name: "t",
        readQueueNums: queueCount,
        writeQueueNums: queueCount,
      });
      await local.metadata.ensureGroup({ name: "g" });
      return;
    }
    this.#sent += 1;
    const body = `message ${this.#sent}`;
    const { epoch } = local.store;
    const draft = {
      type: RecordType.message,
      topic: "t",
      queueId: this.#sent % queueCount,
      systemProperties: nothing,
      userProperties: nothing,
      body: Buffer.from(body.padEnd(120)),
    };
    await local.store.send([draft]);
    const known = this.rulers.get(epoch);
    if (known !== undefined && known !== machine.id) {
      this.faults.push(
        `brokers ${known} and ${machine.id} have both acknowledged in epoch ${epoch}`,
      );
    }
    this.rulers.set(epoch, machine.id);
    this.acked.set(body, { atMs: time.nowMs, brokerId: machine.id, epoch });
  }

  #receive(): void {
    if (this.#isStopped) return;
    const { random, clock } = this.#world;
    clock.after(2 + random.next() * 20, () => this.#receive());
    const place = this.#serving(false);
    if (place !== undefined)
      this.#receiveFrom(place.local).catch((error: unknown) => this.#note(error));
  }

  async #receiveFrom(local: NonNullable<Replica["local"]>): Promise<void> {
    const [topic, group] = [local.metadata.topic("t"), local.metadata.group("g")];
    if (topic === undefined || group === undefined) return;
    const messages = await local.delivery.receive({
      group,
      topic,
      queueId: -1,
      countMax: 16,
      invisibleMs: 60_000,
      autoRenew: false,
      filter: parseFilter(1, "*"),
      pollingMs: 0,
      clientId: "c",
      signal: new AbortController().signal,
      isClientGone: () => false,
    });
    const { time, clock, random } = this.#world;
    for (const { record, receiptHandle, queueId, queueOffset } of messages) {
      const body = Buffer.from(record.body).toString().trim();
      this.#noteSeen({ body, queueId, offset: queueOffset });
      const ackedAtMs = this.consumed.get(body);
      if (ackedAtMs !== undefined) this.again.push({ body, ackedAtMs, atMs: time.nowMs });
      clock.after(random.next() * 40, () => this.#ack(body, receiptHandle));
    }
  }

  #ack(body: string, handle: string): void {
    const place = this.#serving(false);
    if (place?.local.delivery.ack("g", "t", handle) === "ok") {
      this.consumed.set(body, this.#world.time.nowMs);
    }
  }

  #noteSeen(seen: Seen): void {
    const known = this.seen.get(seen.body);
    if (known !== undefined && (known.offset !== seen.offset || known.queueId !== seen.queueId)) {
      this.faults.push(
        `${seen.body} was seen at ${known.queueId}/${known.offset} and at ${seen.queueId}/${seen.offset}`,
      );
    }
    this.seen.set(seen.body, seen);
  }

  /** Failures are what clients get in such a world; bugs are not. */
  #note(error: unknown): void {
    if (!(error instanceof MqError) || error.code === "INTERNAL_SERVER_ERROR") {
      this.faults.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
  }
}
