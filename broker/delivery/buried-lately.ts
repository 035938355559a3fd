// Which messages became dead letters lately: an acknowledgement that comes after that is told from one that is repeated.
// Pure.
import type { Lane } from "./lane.ts";
import { Fifo } from "./order/fifo.ts";

interface Buried {
  readonly lane: Lane;
  readonly offset: number;
  readonly deliveryNumber: number;
}

/** The newest dead letters of this process, at most `countMax`. */
export class BuriedLately {
  readonly #countMax: number;
  /** Numbers of the last deliveries, by offset. */
  readonly #numbers = new Map<Lane, Map<number, number>>();
  readonly #oldest = new Fifo<Buried>();

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** A message is a dead letter since its delivery of that number. */
  note(lane: Lane, offset: number, deliveryNumber: number): void {
    const numbers = this.#numbers.get(lane) ?? new Map<number, number>();
    this.#numbers.set(lane, numbers.set(offset, deliveryNumber));
    this.#oldest.push({ lane, offset, deliveryNumber });
    if (this.#oldest.length > this.#countMax) this.#forgetOldest();
  }

  /** Whether a delivery was that of a message which became a dead letter after it. */
  has(lane: Lane, offset: number, deliveryNumber: number): boolean {
    return deliveryNumber <= (this.#numbers.get(lane)?.get(offset) ?? 0);
  }

  #forgetOldest(): void {
    const oldest = this.#oldest.shift();
    if (oldest === undefined) return;
    const { lane, offset, deliveryNumber } = oldest;
    const numbers = this.#numbers.get(lane);
    // It may have been given again, and be a newer dead letter.
    if (numbers?.get(offset) !== deliveryNumber) return;
    numbers.delete(offset);
    if (numbers.size === 0) this.#numbers.delete(lane);
  }
}
