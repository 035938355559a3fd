// A link with the frames of replication on it: sends frames, waits for the next one, notices silence.
import { type CancelTimer, type Clock, limits, MqError } from "../../base/index.ts";
import type { ControlMessage, Refuse } from "./control-messages.ts";
import { FrameSplitter } from "./frame-splitter.ts";
import { type ControlFrame, encodeData, encodeFrame, type Frame } from "./frames.ts";
import type { Link } from "./network.ts";

/** One link in use. Ends once, and says why. */
export class Channel {
  readonly link: Link;
  readonly #clock: Clock;
  readonly #splitter = new FrameSplitter((frame) => this.#give(frame));
  readonly #frames: Frame[] = [];
  readonly #endListeners: ((reason: string) => void)[] = [];
  #wake: (() => void) | undefined;
  #onFrame: ((frame: Frame) => void) | undefined;
  #endReason: string | undefined;
  #heardAtMs: number;
  #sentBytes = 0;
  #cancelWatch: CancelTimer | undefined;

  constructor(link: Link, clock: Clock) {
    this.link = link;
    this.#clock = clock;
    this.#heardAtMs = clock.monotonicMs();
    link.onEnd((reason) => this.#ended(reason));
    link.onData((bytes) => this.#take(bytes));
    this.#cancelWatch = clock.every(limits.haHeartbeatMs, () => this.#watch());
  }

  /** Why the link has ended; undefined while it is open. */
  get endReason(): string | undefined {
    return this.#endReason;
  }

  /** Bytes that were given to the link. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  /** Of these, those that the system has taken. */
  get takenBytes(): number {
    return this.#sentBytes - this.link.waitingBytes;
  }

  /** Sends a frame. After the end it does nothing. */
  send(frame: Exclude<Frame, { kind: "data" }>): void {
    this.#put(encodeFrame(frame));
  }

  /** Sends a control message. */
  say(message: ControlMessage): void {
    this.send({ kind: "control", message });
  }

  /** Sends log bytes, which must not change until the system has taken them. */
  sendData(frame: Parameters<typeof encodeData>[0]): void {
    for (const piece of encodeData(frame)) this.#put(piece);
  }

  /** Says why it ends, and ends. */
  refuse(code: Refuse["code"], message: string): void {
    this.say({ kind: "refuse", code, message });
    // What waits to be sent goes first; a side that does not read it is cut.
    const cancel = this.#clock.after(limits.haFarewellMs, () => this.close(message), {
      unref: true,
    });
    this.onEnd(cancel);
    this.link.drained().then(
      () => this.#clock.after(limits.haFarewellMs / 4, () => this.close(message), { unref: true }),
      () => {},
    );
  }

  /** Ends the link. */
  close(reason: string): void {
    this.link.close(reason);
    this.#ended(reason);
  }

  /** Calls `listener` once with why the link has ended, also when it has ended before. */
  onEnd(listener: (reason: string) => void): void {
    if (this.#endReason !== undefined) listener(this.#endReason);
    else this.#endListeners.push(listener);
  }

  /** Gives frames to `listener` from now on, those that wait first; their bytes are good while it runs. What it throws ends the link. */
  listen(listener: (frame: Frame) => void): void {
    this.#onFrame = listener;
    for (const frame of this.#frames.splice(0)) this.#give(frame);
  }

  /** The next frame. Rejects HA_NOT_AVAILABLE when the link ends before, or nothing comes for too long. */
  async next(): Promise<Frame> {
    while (this.#frames.length === 0) {
      if (this.#endReason !== undefined) {
        throw new MqError("HA_NOT_AVAILABLE", `${this.link.peer}: ${this.#endReason}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const [frame] = this.#frames.splice(0, 1);
    if (frame === undefined) throw new MqError("HA_NOT_AVAILABLE", this.link.peer);
    return frame;
  }

  /** The next frame, which must be a control message. Rejects as `next` does. */
  async nextControl(): Promise<ControlFrame> {
    const frame = await this.next();
    if (frame.kind === "control") return frame;
    throw new MqError(
      "BAD_REQUEST",
      `${this.link.peer} sent ${frame.kind} where words were to come`,
    );
  }

  /** The next frame, which must be a control message of this kind. A refusal rejects with its words. */
  async expect<K extends ControlMessage["kind"]>(
    kind: K,
  ): Promise<Extract<ControlMessage, { kind: K }>> {
    const frame = await this.next();
    if (frame.kind === "control") {
      const { message } = frame;
      if (message.kind === kind) return message as Extract<ControlMessage, { kind: K }>;
      if (message.kind === "refuse") throw new RefusedError(message);
    }
    const got = frame.kind === "control" ? frame.message.kind : frame.kind;
    throw new MqError("BAD_REQUEST", `${this.link.peer} sent ${got} where ${kind} was to come`);
  }

  #put(bytes: Buffer): void {
    this.#sentBytes += bytes.length;
    this.link.send(bytes);
  }

  #take(bytes: Buffer): void {
    this.#heardAtMs = this.#clock.monotonicMs();
    try {
      this.#splitter.push(bytes);
    } catch (error) {
      this.#fail(error);
    }
  }

  #give(frame: Frame): void {
    if (this.#endReason !== undefined) return;
    if (this.#onFrame === undefined) {
      this.#frames.push("bytes" in frame ? { ...frame, bytes: Buffer.from(frame.bytes) } : frame);
      this.#wake?.();
      return;
    }
    try {
      this.#onFrame(frame);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (!(error instanceof MqError)) throw error;
    this.close(error.message);
  }

  #watch(): void {
    const silentMs = this.#clock.monotonicMs() - this.#heardAtMs;
    if (silentMs > limits.haSilenceMaxMs) this.close(`silent for ${Math.round(silentMs)} ms`);
  }

  #ended(reason: string): void {
    if (this.#endReason !== undefined) return;
    this.#endReason = reason;
    this.#cancelWatch?.();
    this.#wake?.();
    for (const listener of this.#endListeners.splice(0)) listener(reason);
  }
}

/** The other side has refused; its words are the message. */
export class RefusedError extends MqError {
  readonly refusal: Refuse;

  constructor(refusal: Refuse) {
    super("HA_NOT_AVAILABLE", refusal.message);
    this.refusal = refusal;
  }
}
