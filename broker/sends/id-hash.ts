// The hash under which the send window keeps a message: 64 bits of topic and message id, in two halves. Ids of the official
// clients, 34 characters of which 32 are hex digits, are checked and hashed in one pass over the digits. The last of them
// is the low end of a client's counter: it is not mixed, so that the next message of a client is looked for beside the one
// before, in memory that the processor has at hand.

/** Writes the halves of a hash of `topic` and `id` to `target[at]` and `target[at + 1]`. False: the id does not count. */
export type IdHash = (topic: string, id: string, target: Int32Array, at: number) => boolean;

const clientIdLength = 34;
/** Value of a hex digit by its character code. */
const digits = new Uint8Array(128).fill(255);
for (let value = 0; value < 16; value += 1) {
  const digit = value.toString(16);
  digits[digit.charCodeAt(0)] = value;
  digits[digit.toUpperCase().charCodeAt(0)] = value;
}
const golden = 0x9e3779b1;
const silver = 0x5f356495;

/** How ids are hashed. */
export interface IdHashOptions {
  /** Two whole numbers. Who does not know them cannot foresee a hash. */
  readonly seeds: readonly [number, number];
  /** Whether ids count that are not of the format of the official clients. */
  readonly takesAnyId: boolean;
}

/** A hash that spreads well; proves nothing. */
export function seededHash({ seeds, takesAnyId }: IdHashOptions): IdHash {
  let known = "";
  let [topicLow, topicHigh] = seeds;
  return (topic, id, target, at) => {
    const isClient = id.length === clientIdLength && id.charCodeAt(0) === 0x30;
    const lastDigit = isClient && id.charCodeAt(1) === 0x31 ? hashDigits(id, target, at) : -1;
    const isHex = lastDigit >= 0;
    if (!isHex && !takesAnyId) return false;
    if (!isHex) hashText(id, target, at);
    // Neighbours are often of one topic.
    if (topic !== known) {
      [topicLow, topicHigh] = seeds;
      for (let index = 0; index < topic.length; index += 1) {
        const code = topic.charCodeAt(index);
        topicLow = Math.imul(topicLow ^ code, golden);
        topicHigh = Math.imul(topicHigh ^ code, silver);
      }
      known = topic;
    }
    let low = Math.imul((target[at] ?? 0) ^ topicLow, golden);
    let high = Math.imul((target[at + 1] ?? 0) ^ topicHigh, silver);
    low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
    high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
    target[at] = isHex ? (low << 4) | lastDigit : low;
    target[at + 1] = high;
    return true;
  };
}

/** Takes the 32 digits behind the version, eight at a time, without the last, which it gives; -1 when one is none. */
function hashDigits(id: string, target: Int32Array, at: number): number {
  let low = 0;
  let high = 0;
  let strange = 0;
  let last = 0;
  for (let index = 2; index < clientIdLength; ) {
    let word = 0;
    for (const end = index + 8; index < end; index += 1) {
      const code = id.charCodeAt(index);
      const digit = digits[code & 127] ?? 255;
      strange |= (digit & 128) | (code & ~127);
      word = (word << 4) | digit;
    }
    if (index === clientIdLength) {
      last = word & 15;
      word >>>= 4;
    }
    low = Math.imul(low ^ word, golden) ^ (low >>> 15);
    high = Math.imul(high ^ word ^ (word >>> 15), silver) ^ (high >>> 13);
  }
  target[at] = low;
  target[at + 1] = high;
  return strange === 0 ? last : -1;
}

function hashText(id: string, target: Int32Array, at: number): void {
  let low = 0x2f;
  let high = 0;
  for (let index = 0; index < id.length; index += 1) {
    const code = id.charCodeAt(index);
    low = Math.imul(low ^ code, golden);
    high = Math.imul(high ^ code, silver);
  }
  target[at] = low;
  target[at + 1] = high;
}
