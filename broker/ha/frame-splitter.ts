// Cuts what comes over a link into frames. The bytes of a frame are a view of what came, where it came in one piece.
import { MqError } from "../../base/index.ts";
import { broken, decodeFrame, type Frame, frameHeadSize, frameSizeMax, preface } from "./frames.ts";

/** The receiving end of one link. */
export class FrameSplitter {
  #kept: Buffer[] = [];
  #keptSize = 0;
  #wantedSize = preface.length;
  #greeted = false;

  /** Takes bytes, which belong to it from now on; gives the frames that are whole. Throws BAD_REQUEST for anything else. */
  push(bytes: Buffer): Frame[] {
    this.#kept.push(bytes);
    this.#keptSize += bytes.length;
    const frames: Frame[] = [];
    if (this.#keptSize < this.#wantedSize) return frames;
    const [only] = this.#kept;
    const all = this.#kept.length === 1 && only !== undefined ? only : Buffer.concat(this.#kept);
    let place = 0;
    if (!this.#greeted) {
      checkPreface(all);
      this.#greeted = true;
      place = preface.length;
    }
    place = this.#split(all, place, frames);
    const rest = all.subarray(place);
    this.#kept = rest.length === 0 ? [] : [rest];
    this.#keptSize = rest.length;
    return frames;
  }

  #split(all: Buffer, from: number, frames: Frame[]): number {
    let place = from;
    for (;;) {
      this.#wantedSize = frameHeadSize;
      if (all.length - place < frameHeadSize) return place;
      const size = 4 + all.readUInt32BE(place);
      if (size < frameHeadSize || size > frameSizeMax + 4) throw broken(`it claims ${size} bytes`);
      this.#wantedSize = size;
      if (all.length - place < size) return place;
      frames.push(decodeFrame(all.subarray(place, place + size)));
      place += size;
    }
  }
}

function checkPreface(bytes: Buffer): void {
  if (bytes.subarray(0, preface.length).equals(preface)) return;
  const isOurs = bytes.subarray(0, 4).equals(preface.subarray(0, 4));
  const what = isOurs
    ? `version ${bytes.readUInt32BE(4)} of the replication; this broker speaks version 1`
    : bytes.readUInt8(0) === 0x16
      ? "TLS, which haTlsEnable switches on: the setting must be the same on both brokers"
      : "something else than CometMQ's replication: is it the right port?";
  throw new MqError("BAD_REQUEST", `the other side speaks ${what}`);
}
