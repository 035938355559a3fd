// Feeds one slave: the bytes of the log as they are written, and where the log stands. It never holds anybody up: what
// the slave does not take stays in the files.
import { background, type CancelTimer, type Clock, limits, MqError } from "../../base/index.ts";
import type { Channel } from "./channel.ts";
import { bodySizeMax } from "./frames.ts";
import type { ReplicatedStore } from "./log-source.ts";
import { SendBuffers } from "./send-buffers.ts";

/** What a feed works on. */
export interface SlaveFeedOptions {
  readonly channel: Channel;
  readonly store: ReplicatedStore;
  readonly clock: Clock;
  /** Reign of this broker, in every frame. */
  readonly epoch: number;
  /** First byte that the slave wants. */
  readonly from: number;
}

/** One slave that is fed until its link ends. */
export class SlaveFeed {
  readonly #options: SlaveFeedOptions;
  readonly #stopListening: () => void;
  readonly #cancelBeat: CancelTimer;
  readonly #buffers = new SendBuffers(bodySizeMax);
  #next: number;
  #saidConfirmed = -1;
  #isPumping = false;
  #wantsMore = false;
  /** Whether the place is going to be told. */
  #isDue = false;

  constructor(options: SlaveFeedOptions) {
    const { store, clock, channel } = options;
    this.#options = options;
    this.#next = options.from;
    this.#stopListening = store.onProgress(() => this.#wake());
    this.#cancelBeat = clock.every(limits.haHeartbeatMs, () => this.#tellPlace());
    channel.onEnd(() => this.#stop());
    this.#tellPlace();
    this.#wake();
  }

  /** Behind the last byte given to the link. */
  get next(): number {
    return this.#next;
  }

  /** Bytes given to the link. */
  get sentBytes(): number {
    return this.#next - this.#options.from;
  }

  #stop(): void {
    this.#stopListening();
    this.#cancelBeat();
  }

  #wake(): void {
    this.#wantsMore = true;
    if (!this.#isPumping) background(this.#pump());
  }

  async #pump(): Promise<void> {
    const { channel } = this.#options;
    this.#isPumping = true;
    try {
      while (this.#wantsMore && channel.endReason === undefined) {
        this.#wantsMore = false;
        if (!(await this.#sendAll())) return;
        this.#tellPlaceSoon();
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      channel.refuse("failed", `the log cannot be read at position ${this.#next}: ${reason}`);
    } finally {
      this.#isPumping = false;
    }
  }

  /** False when the link has ended meanwhile. */
  async #sendAll(): Promise<boolean> {
    while (this.#next < this.#options.store.written) {
      if (!(await this.#sendSome())) return false;
    }
    return true;
  }

  async #sendSome(): Promise<boolean> {
    const { channel, store, epoch } = this.#options;
    const position = this.#next;
    let read: Buffer | undefined;
    const bytes = await store.readLog(position, {
      sizeMax: bodySizeMax,
      memory: () => (read = this.#buffers.next(channel.takenBytes)),
    });
    if (channel.endReason !== undefined) return false;
    if (bytes === undefined) {
      channel.refuse("gone", `position ${position} has expired; the log starts at ${store.start}`);
      return false;
    }
    if (bytes.length === 0) throw new MqError("CORRUPT", "the file is shorter than the log");
    const { confirmed } = store;
    channel.sendData({ epoch, position, confirmed, bytes });
    this.#saidConfirmed = confirmed;
    this.#next = position + bytes.length;
    if (read === undefined) this.#buffers.clear();
    else this.#buffers.sent(read, channel.sentBytes);
    if (channel.link.waitingBytes > limits.haSendBufferSize) await channel.link.drained();
    return true;
  }

  /** What is confirmed goes with the next bytes, which most often come before there is a reason to say it alone. */
  #tellPlaceSoon(): void {
    if (this.#isDue || this.#options.store.confirmed === this.#saidConfirmed) return;
    this.#isDue = true;
    this.#options.clock.after(
      limits.haConfirmDelayMs,
      () => {
        this.#isDue = false;
        const { channel, store } = this.#options;
        if (channel.endReason === undefined && store.confirmed !== this.#saidConfirmed) {
          this.#tellPlace();
        }
      },
      { unref: true },
    );
  }

  #tellPlace(): void {
    const { channel, store, epoch, clock } = this.#options;
    const { confirmed, start, written: end, newestMs, messageCount } = store;
    channel.send({
      kind: "confirm",
      epoch,
      confirmed,
      start,
      end,
      nowMs: clock.now(),
      messageCount,
      newestMs,
    });
    this.#saidConfirmed = confirmed;
  }
}
