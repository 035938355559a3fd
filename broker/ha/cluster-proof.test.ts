import assert from "node:assert/strict";
import * as fc from "fast-check";
import { MqError } from "../../base/index.ts";
import { seededRandom } from "../store/testkit/seeded-random.ts";
import { ClusterProof, greetingSize, type ProofOptions, type ProofStep } from "./cluster-proof.ts";

type Given = Partial<Omit<ProofOptions, "role">>;

const nothing: Buffer = Buffer.alloc(0);
let seed = 0;

function side(role: ProofOptions["role"], given: Given = {}): ClusterProof {
  seed += 1;
  const random = seededRandom(seed);
  return new ClusterProof({
    secret: "",
    isTls: false,
    channelBinding: nothing,
    random,
    role,
    ...given,
  });
}

/** Lets both talk until neither has anything to say; gives the last step of each. */
function talk(
  dialler: ClusterProof,
  acceptor: ClusterProof,
): Record<"dialler" | "acceptor", ProofStep> {
  let forAcceptor = dialler.begin();
  const steps: Record<"dialler" | "acceptor", ProofStep> = {
    dialler: { kind: "more", send: nothing },
    acceptor: { kind: "more", send: nothing },
  };
  while (forAcceptor.length > 0) {
    let forDialler = nothing;
    if (steps.acceptor.kind === "more") {
      steps.acceptor = acceptor.take(forAcceptor);
      forDialler = steps.acceptor.send;
    }
    forAcceptor = nothing;
    if (forDialler.length === 0 || steps.dialler.kind !== "more") break;
    steps.dialler = dialler.take(forDialler);
    forAcceptor = steps.dialler.send;
  }
  return steps;
}

function outcome(step: ProofStep): string {
  return step.kind === "failed" ? step.error.message : step.kind;
}

function outcomes(one: Given, other: Given): readonly [string, string] {
  const { dialler, acceptor } = talk(side("dialler", one), side("acceptor", other));
  return [outcome(dialler), outcome(acceptor)];
}

describe("the proof of the cluster", () => {
  it("lets both in when they agree", () => {
    const channelBinding = Buffer.from("one connection");
    for (const given of [
      {},
      { secret: "s" },
      { isTls: true, channelBinding },
      { secret: "s", isTls: true, channelBinding },
    ]) {
      assert.deepEqual(outcomes(given, given), ["done", "done"]);
    }
  });

  it("tells both sides what differs, and never the secret", () => {
    for (const [one, other, words] of [
      [{ secret: "apple" }, { secret: "pear" }, /another haSecret/],
      [{ secret: "apple" }, {}, /haSecret.* set the same on both/],
      [{}, { secret: "pear" }, /haSecret.* set the same on both/],
      [{ isTls: true }, {}, /haTlsEnable must be the same/],
      [{}, { isTls: true }, /haTlsEnable must be the same/],
      [
        {},
        { certificateFault: "EXPIRED" },
        /certificate is not accepted: EXPIRED|this broker's cert/,
      ],
    ] as const) {
      for (const said of outcomes(one, other)) {
        assert.match(said, words);
        assert.doesNotMatch(said, /apple|pear/);
      }
    }
  });

  it("is of no use in another TLS connection", () => {
    const mine = { secret: "s", isTls: true, channelBinding: Buffer.from("to the one in between") };
    const theirs = { ...mine, channelBinding: Buffer.from("from the one in between") };
    assert.match(outcomes(mine, theirs).join(), /another haSecret.*another haSecret/);
  });

  it("cannot be sent back", () => {
    const broker = side("dialler", { secret: "s" });
    const greeting = broker.begin();
    const { send } = broker.take(greeting);
    assert.equal(send.length, 32);
    const step = broker.take(Buffer.concat([Buffer.from([1]), send]));
    assert.match(outcome(step), /another haSecret/);
  });

  it("cannot be replayed", () => {
    const dialler = side("dialler", { secret: "s" });
    const greeting = dialler.begin();
    const first = side("acceptor", { secret: "s" });
    const proof = dialler.take(first.take(greeting).send).send;
    assert.equal(first.take(proof).kind, "done");
    const second = side("acceptor", { secret: "s" });
    second.take(greeting);
    const step = second.take(proof);
    assert.match(outcome(step), /another haSecret/);
    assert.deepEqual(step.send, Buffer.from([0]));
  });

  it("gives a stranger nothing that the secret could be guessed with", () => {
    const acceptor = side("acceptor", { secret: "s" });
    const { send } = acceptor.take(side("dialler", { secret: "guess" }).begin());
    assert.equal(send.length, greetingSize);
    assert.deepEqual(acceptor.take(Buffer.alloc(32)).send, Buffer.from([0]));
  });

  it("takes bytes in any pieces, and gives back what came behind", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.boolean(), (piece, isSecret) => {
        const given = { secret: isSecret ? "s" : "" };
        const [dialler, acceptor] = [side("dialler", given), side("acceptor", given)];
        const feed = (to: ClusterProof, bytes: Buffer): ProofStep & { all: Buffer } => {
          const sent: Buffer[] = [];
          for (let at = 0; at < bytes.length; at += piece) {
            const step = to.take(bytes.subarray(at, at + piece));
            sent.push(step.send);
            if (step.kind === "done") {
              const rest = Buffer.concat([step.rest, bytes.subarray(at + piece)]);
              return { ...step, rest, all: Buffer.concat(sent) };
            }
          }
          return { kind: "more", send: nothing, all: Buffer.concat(sent) };
        };
        const behind = Buffer.from("a frame");
        const greeted = feed(acceptor, dialler.begin());
        const answered = feed(dialler, greeted.all);
        const proved = isSecret ? feed(acceptor, Buffer.concat([answered.all, behind])) : greeted;
        const last = isSecret ? feed(dialler, Buffer.concat([proved.all, behind])) : answered;
        assert.equal(proved.kind, "done");
        assert.equal(last.kind, "done");
        if (isSecret && proved.kind === "done") assert.deepEqual(proved.rest, behind);
        if (isSecret && last.kind === "done") assert.deepEqual(last.rest, behind);
      }),
    );
  });

  it("says what a stranger speaks, as soon as it can", () => {
    for (const [bytes, words] of [
      ["GET / HTTP/1.1\r\n", /speaks HTTP: is it the right port/],
      ["P", /speaks no replication of CometMQ/],
      ["\x16\x03\x01\x02\x00", /replicates over TLS, this broker without/],
      ["\0\0\0\0\0\0\x10\0", /perhaps that of RocketMQ/],
      ["CMQX", /no replication of CometMQ/],
    ] as const) {
      const step = side("acceptor").take(Buffer.from(bytes, "latin1"));
      assert.match(outcome(step), words);
      assert.equal(step.send.length, 0);
    }
    assert.equal(side("acceptor").take(Buffer.from("CMQ")).kind, "more");
  });

  it("names the versions when they do not fit, to both", () => {
    const greeting = side("dialler").begin();
    greeting.writeUInt8(9, 4);
    greeting.writeUInt8(7, 5);
    const step = side("acceptor").take(greeting);
    assert.match(outcome(step), /version 7 to 9 of the replication, this broker version 1/);
    assert.equal(step.send.length, greetingSize);
    // A newer one that still speaks the old version is fine.
    greeting.writeUInt8(1, 5);
    assert.equal(side("acceptor").take(greeting).kind, "done");
  });

  it("survives any nonsense", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (pieces) => {
        const acceptor = side("acceptor", { secret: "s" });
        for (const piece of pieces) {
          const step = acceptor.take(Buffer.from(piece));
          assert.notEqual(step.kind, "done");
          if (step.kind === "failed") return assert.ok(step.error instanceof MqError);
        }
      }),
    );
  });
});
