// Cuts what comes over a link into frames. The bytes of a frame are a view of what came, where it came in one piece;
// a frame in many pieces is put together as they come, always in the same memory.
import { decodeFrame, type Frame, frameHeadSize, frameSize } from "./frames.ts";

const roomSizeMin = 4_096;

/** The receiving end of one link. */
export class FrameSplitter {
  readonly #give: (frame: Frame) => void;
  /** Holds the frame that has begun; fresh memory for each would cost more than all else here. */
  #room = Buffer.alloc(0);
  #begunSize = 0;
  /** Of the frame that has begun; of one whose length is not known yet, the head's. */
  #wantedSize = frameHeadSize;
  #isBroken = false;

  /** `give` takes the frames, whose bytes are good while it runs. */
  constructor(give: (frame: Frame) => void) {
    this.#give = give;
  }

  /**
   * Takes bytes, which may change afterwards, and gives the frames that are whole. Throws BAD_REQUEST for anything
   * that is no frame: the link is of no use then, and nothing more comes.
   */
  push(bytes: Buffer): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    for (let place = 0; place < bytes.length; ) {
      place += this.#begunSize > 0 ? this.#goOn(bytes, place) : this.#begin(bytes, place);
    }
    this.#isBroken = false;
  }

  /** Takes a frame at its first byte. Gives the bytes taken. */
  #begin(bytes: Buffer, place: number): number {
    const left = bytes.length - place;
    const size = left < frameHeadSize ? frameHeadSize : frameSize(bytes, place);
    if (left >= size) {
      this.#give(decodeFrame(bytes.subarray(place, place + size)));
      return size;
    }
    this.#makeRoom(size);
    this.#begunSize = bytes.copy(this.#room, 0, place);
    return left;
  }

  /** Takes what belongs to the frame that has begun. Gives the bytes taken. */
  #goOn(bytes: Buffer, place: number): number {
    const end = place + this.#wantedSize - this.#begunSize;
    const taken = bytes.copy(this.#room, this.#begunSize, place, end);
    this.#begunSize += taken;
    if (this.#begunSize < this.#wantedSize) return taken;
    const size = frameSize(this.#room, 0);
    if (this.#begunSize < size) {
      this.#makeRoom(size);
      return taken;
    }
    this.#begunSize = 0;
    this.#give(decodeFrame(this.#room.subarray(0, size)));
    return taken;
  }

  #makeRoom(size: number): void {
    this.#wantedSize = size;
    if (size <= this.#room.length) return;
    const room = Buffer.allocUnsafeSlow(Math.max(size, roomSizeMin));
    this.#room.copy(room, 0, 0, this.#begunSize);
    this.#room = room;
  }
}
