// Cuts what comes over a link into frames. The bytes of a frame are a view of what came, where it came in one piece;
// a frame in many pieces is put together once, when it is whole.
import { decodeFrame, type Frame, frameHeadSize, frameSize } from "./frames.ts";

/** The receiving end of one link. */
export class FrameSplitter {
  #kept: Buffer[] = [];
  #keptSize = 0;
  #wantedSize = frameHeadSize;
  #isBroken = false;

  /**
   * Takes bytes, which belong to it from now on, and gives the frames that are whole. Throws BAD_REQUEST for anything
   * that is no frame: the link is of no use then, and nothing more comes.
   */
  push(bytes: Buffer): Frame[] {
    if (this.#isBroken) return [];
    this.#kept.push(bytes);
    this.#keptSize += bytes.length;
    if (this.#keptSize < this.#wantedSize) return [];
    const all = this.#kept.length === 1 ? bytes : Buffer.concat(this.#kept, this.#keptSize);
    const frames: Frame[] = [];
    this.#isBroken = true;
    const place = this.#split(all, frames);
    this.#isBroken = false;
    const rest = all.subarray(place);
    this.#kept = rest.length === 0 ? [] : [rest];
    this.#keptSize = rest.length;
    return frames;
  }

  #split(all: Buffer, frames: Frame[]): number {
    let place = 0;
    for (;;) {
      this.#wantedSize = frameHeadSize;
      if (all.length - place < frameHeadSize) return place;
      const size = frameSize(all, place);
      this.#wantedSize = size;
      if (all.length - place < size) return place;
      frames.push(decodeFrame(all.subarray(place, place + size)));
      place += size;
    }
  }
}
