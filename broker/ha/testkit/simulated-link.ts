// One end of a link in the simulated network. What it sends waits in one line: bytes, and at last the end.
import { limits } from "../../../base/index.ts";
import type { Link } from "../network.ts";
import type { Wires } from "./simulated-wires.ts";

/** Which end this is. */
export interface SimulatedEnd {
  readonly host: string;
  readonly otherHost: string;
  readonly peer: string;
}

/** On the way from one end to the other. */
type Item =
  | { readonly kind: "bytes"; bytes: Buffer; readonly dueMs: number }
  | { readonly kind: "end"; readonly reason: string; readonly dueMs: number };

/** Bytes that the systems of both hosts hold for a link; more wait at the sender. */
const windowSize = 262_144;
const resetReason = "the connection was reset by the other side";

/** An end. Listeners are called by the clock only, never from inside a call. */
export class SimulatedLink implements Link {
  readonly host: string;
  readonly otherHost: string;
  readonly peer: string;
  /** The other end; set when both are there. */
  other: SimulatedLink | undefined;
  readonly #network: Wires;
  #line: Item[] = [];
  #lineSize = 0;
  #lastDueMs = 0;
  #onBytes: ((bytes: Buffer) => void) | undefined;
  #isPaused = false;
  #isDead = false;
  /** Why the connection is no more, although this end may not know it yet. */
  #resetReason: string | undefined;
  #endReason: string | undefined;
  readonly #endListeners: ((reason: string) => void)[] = [];
  #drainWaiters: (() => void)[] = [];

  constructor(network: Wires, end: SimulatedEnd) {
    this.#network = network;
    this.host = end.host;
    this.otherHost = end.otherHost;
    this.peer = end.peer;
  }

  get peerHost(): string {
    return this.otherHost;
  }

  get waitingBytes(): number {
    return this.#isOver ? 0 : Math.max(0, this.#lineSize - windowSize);
  }

  /** Whether something that was sent is stuck. */
  get hasHeldBack(): boolean {
    return this.#line.length > 0;
  }

  get #isOver(): boolean {
    return this.#isDead || this.#endReason !== undefined;
  }

  send(bytes: Uint8Array): void {
    if (this.#isOver || this.#resetReason !== undefined || bytes.length === 0) return;
    // What the receiver does to its bytes is of no concern to the sender.
    this.#put({ kind: "bytes", bytes: Buffer.from(bytes), dueMs: this.#dueMs() });
  }

  async drained(): Promise<void> {
    if (this.waitingBytes <= limits.haSendBufferSize / 4) return;
    await new Promise<void>((resolve) => this.#drainWaiters.push(resolve));
  }

  onData(listener: (bytes: Buffer) => void): void {
    this.#onBytes = listener;
    this.#takeLater();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#takeLater();
  }

  onEnd(listener: (reason: string) => void): void {
    if (this.#isDead) return;
    const reason = this.#endReason;
    if (reason === undefined) this.#endListeners.push(listener);
    else this.#soon(() => listener(reason));
  }

  close(reason: string): void {
    if (this.#isOver) return;
    this.#dropWaiting();
    this.#put({
      kind: "end",
      reason: "the other side closed the connection",
      dueMs: this.#dueMs(),
    });
    this.#finish(reason);
  }

  /** Both ends learn that the connection is no more, each when the news gets there; what is on the way is lost. */
  reset(reason: string): void {
    this.#fall(reason);
    const { other } = this;
    if (other !== undefined) other.#fall(reason);
  }

  /** The process of this end is gone: it hears and says nothing any more. */
  die(how: "reset" | "silent"): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#drainWaiters = [];
    this.#forgetWhenOver();
    if (how === "silent") this.#line = [];
    if (how === "silent" || this.#endReason !== undefined) return;
    this.#dropWaiting();
    const reason = "the connection was reset: the process there is gone";
    this.#put({ kind: "end", reason, dueMs: this.#dueMs() });
  }

  /** What stood still can go on. */
  goOn(): void {
    this.#network.clock.after(this.#network.delayMs(this.host, this.otherHost), () => this.#pump());
  }

  /** The news of a reset, for an end that a cut has kept it from. */
  hearReset(): void {
    const reason = this.#resetReason;
    if (reason === undefined || this.#isOver) return;
    if (!this.#network.reaches(this.otherHost, this.host)) return;
    this.#network.clock.after(this.#network.delayMs(this.otherHost, this.host), () =>
      this.#finish(reason),
    );
  }

  #fall(reason: string): void {
    this.#line = [];
    this.#lineSize = 0;
    this.#resetReason ??= reason;
    this.hearReset();
  }

  /** Not before what was sent earlier. */
  #dueMs(): number {
    const { clock } = this.#network;
    const delayMs = this.#network.delayMs(this.host, this.otherHost);
    this.#lastDueMs = Math.max(this.#lastDueMs, clock.monotonicMs() + delayMs);
    return this.#lastDueMs;
  }

  #put(item: Item): void {
    this.#line.push(item);
    if (item.kind === "bytes") this.#lineSize += item.bytes.length;
    const { clock } = this.#network;
    clock.after(item.dueMs - clock.monotonicMs(), () => this.#pump());
  }

  /** The system has not taken it, so it is lost with the process or the close. */
  #dropWaiting(): void {
    let size = 0;
    this.#line = this.#line.filter((item) => {
      if (item.kind === "bytes") size += item.bytes.length;
      return size <= windowSize;
    });
    this.#lineSize = this.#line.reduce(
      (sum, item) => sum + (item.kind === "bytes" ? item.bytes.length : 0),
      0,
    );
  }

  /** Hands over what is due, in order, as long as the other end takes it. */
  #pump(): void {
    const { clock } = this.#network;
    for (;;) {
      const [item] = this.#line;
      if (item === undefined || item.dueMs > clock.monotonicMs()) break;
      if (!this.#network.reaches(this.host, this.otherHost)) return;
      const other = this.other;
      // Nobody there knows this connection: the system answers so.
      if (other === undefined || other.#isDead) return this.#fall(resetReason);
      if (other.#resetReason !== undefined) return this.#fall(other.#resetReason);
      if (other.#endReason === undefined && !other.#mayTake(item.kind)) return;
      if (item.kind === "end") {
        this.#line = [];
        return other.#finish(item.reason);
      }
      const piece = this.#nextPiece(item);
      if (other.#endReason === undefined) other.#onBytes?.(piece);
    }
  }

  /** TCP knows no borders: sometimes only a part of what was sent arrives. The rest follows at once. */
  #nextPiece(item: Item & { readonly kind: "bytes" }): Buffer {
    const isCut = item.bytes.length > 1 && this.#network.random.next() < 0.1;
    const size = isCut
      ? 1 + Math.floor(this.#network.random.next() * (item.bytes.length - 1))
      : item.bytes.length;
    const piece = item.bytes.subarray(0, size);
    if (isCut) item.bytes = item.bytes.subarray(size);
    else this.#line.shift();
    this.#lineSize -= size;
    if (this.waitingBytes <= limits.haSendBufferSize / 4) {
      for (const wake of this.#drainWaiters.splice(0)) wake();
    }
    return piece;
  }

  #mayTake(kind: Item["kind"]): boolean {
    if (!this.#network.isRunning(this.host)) return false;
    // The end comes behind the bytes, so whoever takes none does not hear of it.
    return !this.#isPaused && (kind === "end" || this.#onBytes !== undefined);
  }

  /** Two ends that are over have nothing more to say. */
  #forgetWhenOver(): void {
    const { other } = this;
    if (other === undefined || !other.#isOver || !this.#isOver) return;
    this.#network.forget(this);
    this.#network.forget(other);
  }

  #takeLater(): void {
    this.#soon(() => {
      const { other } = this;
      if (other !== undefined) other.#pump();
    });
  }

  #soon(task: () => void): void {
    this.#network.clock.after(0, () => this.#network.whenRunning(this.host, task));
  }

  #finish(reason: string): void {
    if (this.#isOver) return;
    this.#endReason = reason;
    for (const wake of this.#drainWaiters.splice(0)) wake();
    for (const listener of this.#endListeners.splice(0)) {
      this.#soon(() => {
        if (!this.#isDead) listener(reason);
      });
    }
    this.#forgetWhenOver();
  }
}
