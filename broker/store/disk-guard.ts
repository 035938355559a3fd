// Says what the disk may be asked to take: its space, measured now and then and estimated from the bytes appended in
// between, and how far it may be behind.
import { MqError } from "../../base/index.ts";
import type { Disk, DiskSpace } from "./disk.ts";
import { type RetentionOptions, spaceUntilWarning, usedPercent } from "./retention.ts";

/** Space that must be free before anything is appended again after the disk was full, bytes. */
const freeAfterFullMin = 262_144;

/** When the disk is full, and when it is behind. */
export interface GuardOptions extends RetentionOptions {
  readonly appendBacklogSizeMax: number;
}

/** Decides whether there is room. */
export class DiskGuard {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #options: GuardOptions;
  #space: DiskSpace = { freeBytes: 0, totalBytes: 0 };
  #leftBytes = Number.POSITIVE_INFINITY;
  #appendedBytes = 0;
  #wasFull = false;
  /** What clients have sent and was refused because the disk was behind. */
  refusedSends = 0;

  constructor(disk: Disk, folder: string, options: GuardOptions) {
    this.#disk = disk;
    this.#folder = folder;
    this.#options = options;
  }

  /** As measured last. */
  get space(): DiskSpace {
    return this.#space;
  }

  /** Whether messages are refused now. */
  get isFull(): boolean {
    return this.#wasFull || this.#appendedBytes >= this.#leftBytes;
  }

  /** Whether so much was appended that the estimate should be measured. */
  get isStale(): boolean {
    return this.#appendedBytes * 2 > this.#leftBytes;
  }

  /** Counts bytes appended since the last measuring. */
  appended(sizeBytes: number): void {
    this.#appendedBytes += sizeBytes;
  }

  /** The disk has said that it is full: nothing is appended until space is measured. */
  full(): void {
    this.#wasFull = true;
  }

  /**
   * Why a record is refused. At the watermark messages are, and what the broker itself writes
   * (progress, metadata, snapshots) has the rest of the disk; on a full disk everything is.
   */
  refusal(isMessage: boolean): MqError | undefined {
    if (!this.#wasFull && !(isMessage && this.isFull)) return undefined;
    const { freeBytes, totalBytes } = this.#space;
    const percent = Math.round(usedPercent(this.#space));
    return new MqError(
      "DISK_FULL",
      `the disk of ${this.#folder} is full: ${percent} % used, ${freeBytes} of ${totalBytes} bytes free; messages are refused from ${this.#options.diskSpaceWarningLevelRatio} % on`,
      { facts: { folder: this.#folder, freeBytes, totalBytes } },
    );
  }

  /** Why nothing is appended while so many bytes wait to be confirmed. `isSend`: clients have sent it. */
  backlogRefusal(behindBytes: number, isSend: boolean): MqError | undefined {
    if (behindBytes <= this.#options.appendBacklogSizeMax) return undefined;
    if (isSend) this.refusedSends++;
    return new MqError("TOO_MANY_REQUESTS", "the disk is behind: too much waits to be written");
  }

  /** Measures. */
  async measure(): Promise<void> {
    const before = this.#appendedBytes;
    this.#space = await this.#disk.space(this.#folder);
    // What was appended while measuring may or may not be in the result: count it again.
    this.#appendedBytes -= before;
    this.#leftBytes = spaceUntilWarning(this.#options, this.#space);
    if (this.#wasFull) this.#wasFull = this.#space.freeBytes < freeAfterFullMin;
  }
}
