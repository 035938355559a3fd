// Which stream numbers were closed lately, and how: late frames of streams that we have reset are normal,
// those of others are mistakes.

/** How a stream number ended; "unknown" when it was long ago or never. */
export type ClosedHow = "ended" | "reset" | "unknown";

const keptCount = 128;

/** The last closed stream numbers of a connection. */
export class ClosedStreams {
  // Positive: both sides ended it, or the client reset it. Negative: we reset it.
  #ring: number[] = [];
  #next = 0;

  add(streamId: number, how: "ended" | "reset"): void {
    this.#ring[this.#next] = how === "reset" ? -streamId : streamId;
    this.#next = (this.#next + 1) % keptCount;
  }

  how(streamId: number): ClosedHow {
    if (this.#ring.includes(-streamId)) return "reset";
    return this.#ring.includes(streamId) ? "ended" : "unknown";
  }
}
