// The page of the replication: its examples are what the encoder writes, its limits and names those of the code.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { systemRandom } from "../../base/index.ts";
import { ClusterProof } from "../../broker/ha/cluster-proof.ts";
import { FrameSplitter } from "../../broker/ha/frame-splitter.ts";
import {
  bodySizeMax,
  encodeData,
  encodeFrame,
  type Frame,
  frameSizeMax,
} from "../../broker/ha/frames.ts";
import { packParts } from "../../broker/ha/snapshot-parts.ts";

const page = readFileSync(new URL("../../docs/format/replication.md", import.meta.url), "utf8");

const [part = Buffer.alloc(0)] = packParts([["k", Buffer.from("v")]]);
const data = { epoch: 1, position: 80, confirmed: 80, bytes: Buffer.from("hello") };
const frames: readonly Frame[] = [
  { kind: "control", message: { kind: "begin", position: 80, epoch: 1 } },
  { kind: "data", ...data },
  {
    kind: "confirm",
    epoch: 1,
    confirmed: 80,
    start: 0,
    end: 85,
    nowMs: 1_700_000_000_500,
    messageCount: 1,
    newestMs: 1_700_000_000_000,
  },
  {
    kind: "ack",
    epoch: 1,
    written: 85,
    flushed: 80,
    applied: 80,
    messageCount: 0,
    newestMs: 1_700_000_000_000,
  },
  { kind: "part", bytes: part },
];

function encoded(frame: Frame): Buffer {
  return frame.kind === "data" ? Buffer.concat(encodeData(frame)) : encodeFrame(frame);
}

/** Every dump of bytes on the page: lines of two-digit hexadecimal numbers, four blanks in. */
function examples(): Buffer[] {
  const dumps = page.match(/(?: {4}(?:[0-9a-f]{2} ?)+\n)+/g) ?? [];
  return dumps.map((dump) => Buffer.from(dump.replace(/\s/g, ""), "hex"));
}

describe("format of the replication", () => {
  it("is what docs/format/replication.md shows", () => {
    const random = {
      ...systemRandom,
      bytes: (size: number) => Buffer.from(Array.from({ length: size }, (_, index) => index)),
    };
    const channelBinding = Buffer.alloc(0);
    const parts = { role: "dialler", secret: "s", isTls: false, channelBinding, random } as const;
    const greeting = new ClusterProof(parts).begin();
    assert.deepEqual(examples(), [greeting, ...frames.map(encoded)]);
  });

  it("is read back from the page", () => {
    const [, ...dumps] = examples();
    const read: unknown[] = [];
    new FrameSplitter((frame) => read.push(frame)).push(Buffer.concat(dumps));
    assert.deepEqual(read, frames);
  });

  it("has the limits of the page", () => {
    assert.equal(bodySizeMax, 2 ** 20);
    assert.equal(frameSizeMax - 4, 2 ** 20 + 32);
  });
});
