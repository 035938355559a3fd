// Where a group goes on in lite topics when a client says so, and which lite topics are gone since nothing has come to them
// for long.
import type { rocketmq } from "@cometmq/proto";
import { limits } from "../../base/index.ts";
import type { SeededRandom } from "../simulation/seeded-random.ts";
import { expect } from "./broken-promise.ts";
import type { Sent } from "./sent.ts";

/** Where a group shall go on: as clients say it, in words, and whether a message stands before it. */
export interface LiteStart {
  readonly option: rocketmq.v2.IOffsetOption;
  readonly words: string;
  /** `line` are the messages of its lite topic in their order. */
  readonly isBefore: (sent: Sent, line: readonly Sent[]) => boolean | "unknown";
}

/** What is known of a message's place and time of storing. */
export function liteOffset({ offset, answeredOffset }: Sent): number {
  return offset >= 0 ? offset : answeredOffset;
}

/** A start of any kind; `end` is about where the queue ends. */
export function drawStart(
  random: SeededRandom,
  { nowMs, end }: { readonly nowMs: number; readonly end: number },
): LiteStart {
  const tailN = random.below(4);
  const offset = random.below(end + 2);
  const timestamp = Math.floor(nowMs) - random.pick([0, 500, 3_000, 20_000]);
  return random.pick<LiteStart>([
    { option: { policy: 1 }, words: "the first", isBefore: () => false },
    { option: { policy: 2 }, words: "the end", isBefore: () => true },
    {
      option: { offset },
      words: `offset ${offset}`,
      isBefore: (sent) => liteOffset(sent) < offset,
    },
    {
      option: { tailN },
      words: `the last ${tailN}`,
      isBefore: (sent, line) => line.indexOf(sent) < line.length - tailN,
    },
    {
      option: { timestamp },
      words: `${timestamp}`,
      isBefore: ({ sentAtMs, storedByMs }) => {
        if (sentAtMs > timestamp) return false;
        return storedByMs < timestamp ? true : "unknown";
      },
    },
  ]);
}

/** Lite topics that go by themselves. */
export class IdleLiteTopics {
  readonly #sent: ReadonlyMap<string, Sent>;
  /** How long a lite topic stays without a new message; undefined: for ever. */
  readonly expirationMs: number | undefined;
  /** From when on they are gone without doubt, by message. */
  readonly #goneFromMs = new Map<Sent, number>();
  #isRestarted = false;

  constructor(sent: ReadonlyMap<string, Sent>, expirationMs: number | undefined) {
    this.#sent = sent;
    this.expirationMs = expirationMs;
  }

  /** Another process has begun: what it has to read before it gives it is out meanwhile, and comes all the same. */
  restarted(): void {
    this.#isRestarted = true;
  }

  /** Lets those be gone whose time may be over. Before each send, and before what was received is looked at. */
  look(nowMs: number): void {
    const { expirationMs } = this;
    if (expirationMs === undefined) return;
    for (const line of this.#lines().values()) {
      const surely = line.filter(({ stored }) => stored === "yes");
      const lastMs = Math.max(...surely.map(({ sentAtMs }) => sentAtMs));
      if (nowMs < lastMs + expirationMs) continue;
      const byMs = Math.max(...line.map(({ storedByMs }) => storedByMs)) + expirationMs;
      for (const sent of line) {
        if (sent.isPassedOver) continue;
        sent.isPassedOver = true;
        if (sent.handle === "") this.#goneFromMs.set(sent, byMs);
      }
    }
  }

  /** Throws when a message comes for the first time whose lite topic is gone. */
  check(sent: Sent, nowMs: number): void {
    const goneFromMs = this.#goneFromMs.get(sent);
    if (goneFromMs === undefined) return;
    this.#goneFromMs.delete(sent);
    if (sent.isVague || this.#isRestarted) return;
    const latestMs = goneFromMs + limits.liteUpkeepPeriodMs + 1_000;
    expect(nowMs <= latestMs, `${sent.id} came, and ${sent.liteTopic} is gone since ${goneFromMs}`);
  }

  #lines(): Map<string, Sent[]> {
    const lines = new Map<string, Sent[]>();
    for (const sent of this.#sent.values()) {
      if (sent.kind !== "LITE" || sent.stored === "no") continue;
      const line = lines.get(sent.liteTopic);
      if (line === undefined) lines.set(sent.liteTopic, [sent]);
      else line.push(sent);
    }
    return lines;
  }
}
