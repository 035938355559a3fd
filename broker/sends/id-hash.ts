// The hash under which the send window keeps a message: 64 bits of topic and message id, in two halves.

/** Writes the halves of a hash of `topic` and `id` to `target[at]` and `target[at + 1]`. */
export type IdHash = (topic: string, id: string, target: Int32Array, at: number) => void;

/** A hash that nobody can foresee who does not know `seeds`, two whole numbers. Spreads well; proves nothing. */
export function seededHash(seeds: readonly [number, number]): IdHash {
  let known = "";
  let [topicLow, topicHigh] = seeds;
  return (topic, id, target, at) => {
    // Neighbours are often of one topic.
    if (topic !== known) {
      [topicLow, topicHigh] = seeds;
      for (let index = 0; index < topic.length; index += 1) {
        const code = topic.charCodeAt(index);
        topicLow = Math.imul(topicLow ^ code, 0x9e3779b1);
        topicHigh = Math.imul(topicHigh ^ code, 0x5f356495);
      }
      known = topic;
    }
    let low = topicLow ^ 0x2f;
    let high = topicHigh;
    for (let index = 0; index < id.length; index += 1) {
      const code = id.charCodeAt(index);
      low = Math.imul(low ^ code, 0x9e3779b1);
      high = Math.imul(high ^ code, 0x5f356495);
    }
    low = Math.imul(low ^ (low >>> 16), 0x85ebca6b) ^ Math.imul(high ^ (high >>> 13), 0xc2b2ae35);
    high = Math.imul(high ^ (high >>> 16), 0x85ebca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2ae35);
    target[at] = low;
    target[at + 1] = high;
  };
}
